/*
 * memcg_many.c - all contexts of all CPUs charge and give back at once, below one limit
 * that has room for just what all of them may hold: so nobody may ever be refused, whatever
 * stocks, charges that fail, and limits met meanwhile there are.
 */
#include <anyctx/memcg.h>
#include <anyctx/smp.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "mm/memcg.h"
#include "tests/keep.h"
#include "tests/test.h"

#define OBJECT 64UL
#define RESERVE_ORDER 8 /* of CPU 0's thread */
#define ROUNDS 8000     /* of all CPUs */
#define GROUPS 4
#define REFUSED_EVERY 8

/* One context of one CPU. Only it writes its fields. */
struct worker {
	u64 busy, charged, refused, wrongly;
};
static DEFINE_PER_CPU(struct worker, workers[NR_CONTEXT]);
static struct mem_cgroup *top, *below[GROUPS];

static struct worker *worker_of(unsigned int cpu, enum context ctx)
{
	return &(*per_cpu_ptr(workers, cpu))[ctx];
}

/* One object is had, for a moment; and now and then what cannot be had. */
static void work(struct worker *w)
{
	struct mem_cgroup *g = below[(w->charged + smp_processor_id()) % GROUPS], *was = set_active_memcg(g);
	void *p = kmalloc_nolock(OBJECT, __GFP_ACCOUNT, NUMA_NO_NODE);

	if (!p)
		w->wrongly++;
	if (++w->charged % REFUSED_EVERY == 0) {
		struct page *page = alloc_pages_nolock(__GFP_ACCOUNT, NUMA_NO_NODE, MAX_ORDER);

		w->refused += !page;
		w->wrongly += !!page;
		free_pages_nolock(page, MAX_ORDER);
	}
	set_active_memcg(was);
	kfree_nolock(p);
}

/* A worker may be interrupted by its own kind. */
static void work_here(void)
{
	struct worker *w = worker_of(smp_processor_id(), current_context());

	if (w->busy++ == 0)
		work(w);
	w->busy--;
}

static void in_hook(struct regs *r)
{
	(void)r;
	work_here();
}

static bool in_breakpoint(struct regs *r, u64 dr6)
{
	(void)r;
	(void)dr6;
	work_here();
	return true;
}

/* All that is left beside the workers' objects: with it there is no room for stocks. */
static void take_reserve(struct worker *w)
{
	struct mem_cgroup *was = set_active_memcg(below[0]);
	struct page *page = alloc_pages(GFP_KERNEL_ACCOUNT, RESERVE_ORDER);

	if (!page)
		w->wrongly++;
	work_here();
	set_active_memcg(was);
	free_pages(page, RESERVE_ORDER);
}

static void many_thread(void *unused)
{
	unsigned int me = smp_processor_id(), n = num_online_cpus();
	struct worker *w = worker_of(me, CTX_THREAD);

	(void)unused;
	for (unsigned int i = 0; i < ROUNDS / n; i++) {
		work_here();
		if (i % 4 == 1)
			arch_breakpoint();
		if (i % 4 == 2)
			arch_send_nmi(i & 8 ? me : i % n);
		if (!me && i % 4 == 3)
			take_reserve(w);
	}
}

static void hooks(bool on)
{
	set_tick_hook(on ? in_hook : NULL);
	set_nmi_hook(on ? in_hook : NULL);
	set_trap_hook(on ? in_breakpoint : NULL);
	hook_sync();
}

static void check_workers(void)
{
	u64 charged[NR_CONTEXT] = { 0 }, refused = 0, wrongly = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
			struct worker *w = worker_of(cpu, (enum context)ctx);

			charged[ctx] += w->charged;
			refused += w->refused;
			wrongly += w->wrongly;
		}
	EXPECT(charged[CTX_THREAD] && charged[CTX_NMI] && charged[CTX_DEBUG] && refused);
	EXPECT_EQ(wrongly, 0);
	test_note("charges: thread %lu, irq %lu, nmi %lu, debug %lu; %lu refused as they had to, %lu wrongly",
		  charged[CTX_THREAD], charged[CTX_IRQ], charged[CTX_NMI], charged[CTX_DEBUG], refused, wrongly);
}

static void many(u64 limit)
{
	top = mem_cgroup_create(NULL, "many");
	REQUIRE(top);
	for (unsigned int i = 0; i < GROUPS; i++)
		below[i] = mem_cgroup_create(i ? below[i - 1] : top, "below");
	mem_cgroup_set_limit(top, limit);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
			*worker_of(cpu, (enum context)ctx) = (struct worker){ 0 };
	hooks(true);
	on_each_cpu_thread(many_thread, NULL);
	hooks(false);
	check_workers();
	EXPECT_EQ(mem_cgroup_usage(top), 0);
	EXPECT(mem_cgroup_watermark(top) <= limit);
	for (unsigned int i = 0; i < GROUPS; i++)
		mem_cgroup_put(below[i]);
	mem_cgroup_put(top);
	EXPECT(!(load(&top->life) & LIFE_LIVE));
}

TEST(memcg, many, "a limit with room for just what all contexts of all CPUs may hold refuses none of them, ever")
{
	if (!needs_undebugged(OBJECT)) /* they pay for more */
		return;
	many((PAGE_SIZE << RESERVE_ORDER) + num_online_cpus() * NR_CONTEXT * OBJECT);
}

/* ---- groups that end on another CPU ---- */

#define HANDED 4 /* objects of a group */
static DEFINE_PER_CPU(void *, handed[HANDED]);
static u64 made;

/* Objects of a group that nobody holds any more are freed by the next CPU. */
static void hand_over(unsigned int cpu, struct mem_cgroup *g)
{
	struct mem_cgroup *was = set_active_memcg(g);

	for (unsigned int i = 0; i < HANDED; i++) {
		void *p = kmalloc_nolock(OBJECT << i, __GFP_ACCOUNT, NUMA_NO_NODE);

		EXPECT(p != NULL);
		p = __atomic_exchange_n(&(*per_cpu_ptr(handed, cpu))[i], p, __ATOMIC_ACQ_REL);
		kfree_nolock(p);
	}
	set_active_memcg(was);
}

static void ends_thread(void *unused)
{
	unsigned int me = smp_processor_id(), n = num_online_cpus();

	(void)unused;
	for (unsigned int i = 0; i < ROUNDS / n; i++) {
		struct mem_cgroup *g = mem_cgroup_create(top, "short"), *child = g ? mem_cgroup_create(g, "child") : NULL;

		if (!child) { /* as many as there are */
			mem_cgroup_put(g);
			continue;
		}
		mem_cgroup_put(g);
		hand_over((me + i) % n, child);
		mem_cgroup_put(child);
		__atomic_fetch_add(&made, 2, __ATOMIC_RELAXED);
	}
}

TEST(memcg, ends, "groups made on all CPUs, whose last objects others free: each ends, and its slot is used again")
{
	u64 live = 0;

	made = 0;
	top = mem_cgroup_create(NULL, "ends");
	REQUIRE(top);
	on_each_cpu_thread(ends_thread, NULL);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		for (unsigned int i = 0; i < HANDED; i++) {
			kfree((*per_cpu_ptr(handed, cpu))[i]);
			(*per_cpu_ptr(handed, cpu))[i] = NULL;
		}
	for (unsigned int i = 1; i <= MEMCG_MAX_GROUPS; i++)
		live += !!(groups[i].life & LIFE_LIVE);
	EXPECT_EQ(live, 1);
	EXPECT(made > 4 * MEMCG_MAX_GROUPS);
	test_note("%lu groups made and ended", made);
	mem_cgroup_put(top);
}
