/*
 * kthread_memcg.c - groups and threads: each thread has its own active group, wherever it
 * goes, and charges that are moved about leave the counts right.
 */
#include <anyctx/kthread.h>
#include <anyctx/memcg.h>
#include <anyctx/slab.h>
#include "tests/test.h"

#define THREADS 6
#define ROUNDS 300

static struct mem_cgroup *groups_of[2];
static u64 wrong, nulls;

static int pay(void *arg)
{
	struct mem_cgroup *g = groups_of[(u64)arg % 2];

	set_active_memcg(g);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		size_t size = i % 3 ? 64 : 9000;
		void *p = kmalloc(size, GFP_KERNEL | __GFP_ACCOUNT);

		wrong += active_memcg() != g;
		if (i % 4 == 0)
			kthread_set_cpu(current_task(), (int)(i / 4 % num_online_cpus()));
		if (i % 7 == 0)
			yield();
		wrong += active_memcg() != g;
		nulls += !p;
		kfree(p);
	}
	set_active_memcg(NULL);
	return 0;
}

TEST(memcg_threads, active_moves, "each thread's active group goes with it, and pays; at the end nobody owes anything")
{
	struct task *t[THREADS];

	wrong = nulls = 0;
	groups_of[0] = mem_cgroup_create(NULL, "threads-0");
	groups_of[1] = mem_cgroup_create(NULL, "threads-1");
	REQUIRE(groups_of[0] && groups_of[1]);
	for (u64 i = 0; i < THREADS; i++) {
		t[i] = kthread_run_on_cpu(pay, (void *)i, (unsigned int)i % num_online_cpus(), "pays");
		REQUIRE(t[i]);
	}
	for (unsigned int i = 0; i < THREADS; i++)
		kthread_join(t[i]);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(nulls, 0);
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT(mem_cgroup_watermark(groups_of[i]) > 0);
		EXPECT_EQ(mem_cgroup_usage(groups_of[i]), 0);
		mem_cgroup_put(groups_of[i]);
	}
}
