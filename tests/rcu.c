/*
 * rcu.c - readers in every context hold grace periods up and are waited for; functions and
 * frees that were put off are made, once each, and not before. Under load: rcu_load.c.
 */
#include <anyctx/rcupdate.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/rcu.h"
#include "mm/cache.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/pattern.h"
#include "tests/rcu_reader.h"
#include "tests/test.h"

#define MANY 40

/* ---- grace periods ---- */

TEST(rcu, nobody_reads, "without readers a grace period ends, and what began later is not taken for it")
{
	u64 n;

	for (unsigned int i = 0; i < 20; i++) {
		n = get_state_synchronize_rcu();
		EXPECT(!poll_state_synchronize_rcu(n));
		synchronize_rcu();
		EXPECT(poll_state_synchronize_rcu(n));
	}
}

static void check_reader(enum context ctx, unsigned int cpu)
{
	u64 n;

	reader_begin(ctx, cpu);
	n = start_poll_synchronize_rcu();
	EXPECT(!reader_polled(n)); /* however long one waits */
	reader_end();
	while (!poll_state_synchronize_rcu(n))
		cpu_relax();
}

TEST(rcu, reader_waited_for, "a reader in any context of another CPU is waited for, and nothing but it")
{
	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		check_reader((enum context)ctx, num_online_cpus() - 1);
}

/* ---- what readers see ---- */

#define PUBLISHED 60
#define WORDS 8

static u64 *published; /* all words equal, and none 0 */
static u64 looks, torn;
static u32 enough;

static void look_at_published(void *unused)
{
	const u64 *p;

	(void)unused;
	rcu_read_lock();
	p = rcu_dereference(published);
	for (unsigned int i = 0; p && i < WORDS; i++)
		if (!READ_ONCE(p[i]) || READ_ONCE(p[i]) != READ_ONCE(p[0]))
			__atomic_fetch_add(&torn, 1, __ATOMIC_RELAXED);
	rcu_read_unlock();
	__atomic_fetch_add(&looks, p != NULL, __ATOMIC_RELAXED);
}

static void look_until_enough(void *unused)
{
	while (!__atomic_load_n(&enough, __ATOMIC_ACQUIRE))
		look_at_published(unused);
}

/* The old one is spoilt when nobody may look at it any more. */
static bool publish(u64 number)
{
	u64 *new = number ? kmalloc(WORDS * sizeof(u64), GFP_KERNEL) : NULL, *old = published;

	for (unsigned int i = 0; new && i < WORDS; i++)
		new[i] = number;
	rcu_assign_pointer(published, new);
	synchronize_rcu();
	for (unsigned int i = 0; old && i < WORDS; i++)
		WRITE_ONCE(old[i], 0);
	kfree(old);
	return new || !number;
}

TEST(rcu, published, "a reader of any context sees what was published whole, to the end of its grace period")
{
	unsigned int other = num_online_cpus() - 1;

	looks = torn = 0;
	enough = 0;
	if (other)
		cpu_thread_run(other, look_until_enough, NULL);
	for (u64 n = 1; n <= PUBLISHED; n++) {
		EXPECT(publish(n));
		run_in((enum context)(n % NR_CONTEXT), 0, look_at_published, NULL);
	}
	EXPECT(publish(0));
	__atomic_store_n(&enough, 1, __ATOMIC_RELEASE);
	if (other)
		cpu_thread_wait(other);
	EXPECT_EQ(torn, 0);
	EXPECT(looks >= PUBLISHED);
}

/* ---- a reader of one's own ---- */

static u64 wanted;

static void read_inside(void *unused)
{
	(void)unused;
	rcu_read_lock();
	rcu_read_lock();
	rcu_read_unlock();
	EXPECT(rcu_read_lock_held());
	rcu_read_unlock();
	EXPECT(rcu_read_lock_held()); /* of the thread below */
	EXPECT(!poll_state_synchronize_rcu(wanted));
}

TEST(rcu, own_reader, "a thread's reader holds a grace period up until its last unlock, whatever readers interrupt it")
{
	synchronize_rcu(); /* none is under way */
	rcu_read_lock();
	wanted = start_poll_synchronize_rcu();
	EXPECT_EQ(get_state_synchronize_rcu(), wanted + 1); /* this one has begun too early for others */
	rcu_read_lock();
	for (unsigned int ctx = CTX_IRQ; ctx < NR_CONTEXT; ctx++)
		run_in((enum context)ctx, 0, read_inside, NULL);
	EXPECT(!reader_polled(wanted));
	rcu_read_unlock();
	EXPECT(!reader_polled(wanted));
	rcu_read_unlock();
	EXPECT(!rcu_read_lock_held());
	while (!poll_state_synchronize_rcu(wanted))
		cpu_relax();
}

/* ---- functions ---- */

struct counted {
	struct rcu_head head;
	u64 runs, wrong;
};
static struct counted entries[NR_CONTEXT][MANY];

static void count_run(struct rcu_head *head)
{
	struct counted *e = container_of(head, struct counted, head);
	enum context ctx = current_context();

	e->runs++;
	e->wrong += ctx == CTX_NMI || ctx == CTX_DEBUG || !arch_irqs_disabled();
}

static void call_many(void *arg)
{
	struct counted *e = arg;

	for (unsigned int i = 0; i < MANY; i++) {
		e[i].runs = e[i].wrong = 0;
		call_rcu(&e[i].head, count_run);
	}
}

static void expect_runs(u64 n)
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (unsigned int i = 0; i < MANY; i++) {
			EXPECT_EQ(entries[ctx][i].runs, n);
			EXPECT_EQ(entries[ctx][i].wrong, 0);
		}
}

static void call_from_all(unsigned int cpu)
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		run_in((enum context)ctx, cpu, call_many, entries[ctx]);
}

TEST(rcu, functions, "what call_rcu is given in any context of any CPU runs once, in an interrupt or with interrupts off")
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		call_from_all(cpu);
		rcu_barrier();
		expect_runs(1);
	}
}

TEST(rcu, functions_wait, "no function runs while a reader is inside that was there before")
{
	rcu_read_lock();
	call_from_all(0);
	EXPECT(!reader_polled(get_state_synchronize_rcu()));
	expect_runs(0);
	rcu_read_unlock();
	rcu_barrier();
	expect_runs(1);
}

static struct counted again;
static u64 more;

static void call_again(struct rcu_head *head)
{
	again.runs++;
	if (more) {
		more--;
		call_rcu(head, call_again);
	}
}

TEST(rcu, again, "a function may put itself off again, and a barrier waits for what was there, not for what comes")
{
	again.runs = 0;
	more = 30;
	call_rcu(&again.head, call_again);
	rcu_barrier();
	EXPECT(again.runs >= 1);
	while (__atomic_load_n(&more, __ATOMIC_RELAXED))
		rcu_barrier();
	rcu_barrier();
	EXPECT_EQ(again.runs, 31);
}

/* ---- frees ---- */

struct part {
	u64 before[5];
	struct rcu_head head;
	u64 after[3];
};
static struct kmem_cache *cache;
static struct part *objs[MANY];

static void free_with_head(void *unused)
{
	struct part *none = NULL;

	(void)unused;
	kfree_rcu(none, head);
	for (unsigned int i = 0; i < MANY; i++)
		kfree_rcu(objs[i], head);
}

static void free_without_head(void *unused)
{
	(void)unused;
	EXPECT(kfree_rcu_nolock(NULL) && kfree_rcu_nolock(ZERO_SIZE_PTR));
	for (unsigned int i = 0; i < MANY; i++)
		EXPECT(kfree_rcu_nolock(objs[i]));
}

static void check_frees(void (*free)(void *), enum context ctx, unsigned int cpu, size_t whole)
{
	for (unsigned int i = 0; i < MANY; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		REQUIRE(objs[i] != NULL);
		pattern_fill(objs[i], sizeof(struct part));
	}
	rcu_read_lock();
	run_in(ctx, cpu, free, NULL);
	EXPECT(!reader_polled(get_state_synchronize_rcu()));
	for (unsigned int i = 0; i < MANY; i++)
		EXPECT(whole < sizeof(struct part) ? objs[i]->before[0] == pattern_word(objs[i], sizeof(struct part), 0) :
						     pattern_ok(objs[i], whole));
	EXPECT_EQ(cache_in_use(cache, NULL, 0), MANY);
	rcu_read_unlock();
	rcu_barrier();
	EXPECT_EQ(cache_in_use(cache, NULL, 0), 0);
}

TEST(rcu, frees, "kfree_rcu with and without a head, in any context: whole as long as a reader is inside, then free")
{
	cache = kmem_cache_create("rcu", sizeof(struct part), 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (unsigned int k = 0; k < 2; k++) {
			unsigned int cpu = k ? num_online_cpus() - 1 : 0;

			check_frees(free_with_head, (enum context)ctx, cpu, 40);
			check_frees(free_without_head, (enum context)ctx, cpu, sizeof(struct part));
		}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void free_each(void *p)
{
	EXPECT(kfree_rcu_nolock(p));
}

TEST(rcu, any_pointer, "kfree_rcu_nolock takes whatever kfree takes: objects of any size, blocks, pages")
{
	static const size_t sizes[] = { 1, 8, 96, 4096, 8192, 10000, 1 << 20 };
	u64 pages = 0;

	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
			run_in((enum context)ctx, 0, free_each, kmalloc(sizes[i], GFP_KERNEL));
		run_in((enum context)ctx, 0, free_each, page_address(alloc_pages(GFP_KERNEL, 3)));
	}
	rcu_barrier();
	mm_quiesce();
	(void)pages;
}

TEST(rcu, destroy, "a cache whose objects wait for a grace period on every CPU is destroyed without a report")
{
	for (unsigned int round = 0; round < 4; round++) {
		cache = kmem_cache_create("rcu", sizeof(struct part), 0, round & 1 ? SLAB_TYPESAFE_BY_RCU : 0, NULL);
		REQUIRE(cache != NULL);
		for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
			for (unsigned int i = 0; i < MANY; i++)
				objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
			run_in(round & 2 ? CTX_NMI : CTX_THREAD, cpu, round & 1 ? free_with_head : free_without_head, NULL);
		}
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
	}
}
