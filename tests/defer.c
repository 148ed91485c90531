/*
 * defer.c - frees that are put off: who defers and when, how many at most, who serves
 * them, what the barrier waits for; and that memory does not run out of it.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "kernel/run_in.h"
#include "tests/keep.h"
#include "tests/test.h"

#define MAX_OBJS (2 * DEFER_MAX + MAG_SLOTS)

static struct kmem_cache *cache;
static void *objs[MAX_OBJS];
static unsigned int nr;

/* n objects more than a magazine holds, and all magazines empty. */
static bool begin(unsigned int over)
{
	test_frees_at_once();
	cache = kmem_cache_create("defer", 72, 0, 0, NULL);
	nr = cache ? take_beyond_magazine(cache, objs, MAX_OBJS, over) : 0;
	return nr != 0;
}

static void end(void)
{
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void free_one(void *obj)
{
	kfree_nolock(obj);
}

static u64 queued(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(defer_counts, cpu)->queued);
}

static u64 served(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(defer_counts, cpu)->served);
}

/* ---- who defers ---- */

static unsigned int nr_freed;

/* Is the free of one more object deferred in that context? */
static bool defers(enum context ctx, bool full, bool tight)
{
	u64 flags = arch_irq_save(), before = queued(0), low = tight_low, high = tight_high;
	unsigned int i = 0;

	while (full && magazine_count(cache, 0) < cache->limit)
		kmem_cache_free(cache, objs[i++]);
	if (tight) {
		tight_low = tight_high = 1UL << 40;
		tight_check();
	}
	arch_irq_restore(ctx == CTX_IRQ ? flags : 0);
	run_in(ctx, 0, free_one, objs[i]);
	nr_freed = i + 1;
	tight_low = low;
	tight_high = high;
	tight_check();
	arch_irq_restore(flags);
	return queued(0) != before;
}

static void check_defers(enum context ctx, bool full, bool tight, bool want)
{
	REQUIRE(begin(2));
	if (defers(ctx, full, tight) != want)
		test_fail(__FILE__, __LINE__, "%s, %s%s: %s", context_name(ctx), full ? "full" : "not full",
			  tight ? ", tight" : "", want ? "not deferred" : "deferred");
	mm_quiesce();
	for (unsigned int i = nr_freed; i < nr; i++)
		kmem_cache_free(cache, objs[i]);
	end();
}

TEST(defer, who,
     "a free is deferred in NMI and debug context only, with a full magazine, while memory is not tight")
{
	if (!needs_magazines(72))
		return;
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		check_defers((enum context)ctx, false, false, false);
		check_defers((enum context)ctx, true, false, ctx == CTX_NMI || ctx == CTX_DEBUG);
		check_defers((enum context)ctx, true, true, false);
	}
}

/* ---- how many ---- */

TEST(defer, bound, "no more than 255 wait on a CPU, however many come; the others are freed at once")
{
	u64 flags, before;

	if (!needs_magazines(72))
		return;
	REQUIRE(begin(DEFER_MAX + 100));
	flags = arch_irq_save(); /* nobody serves */
	before = queued(0);
	for (unsigned int i = 0; i < nr; i++)
		run_in(CTX_NMI, 0, free_one, objs[i]);
	EXPECT_EQ(defer_count(0), DEFER_MAX);
	EXPECT_EQ(queued(0) - before, DEFER_MAX);
	arch_irq_restore(flags);
	EXPECT_EQ(defer_count(0), 0);
	end();
}

/* ---- who serves ---- */

TEST(defer, served_by_ipi,
     "what an NMI defers on any CPU is freed by an IPI there, with nobody asking for it")
{
	if (!needs_magazines(72))
		return;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		u64 q = queued(cpu), ipis;

		REQUIRE(begin(40));
		ipis = per_cpu_ptr(irq_counts, cpu)->ipi[IPI_IRQ_WORK];
		for (unsigned int i = 0; i < nr; i++)
			run_in(CTX_NMI, cpu, free_one, objs[i]);
		defer_settle(); /* only waits */
		EXPECT(queued(cpu) > q);
		EXPECT_EQ(defer_count(cpu), 0);
		EXPECT_EQ(queued(cpu), served(cpu));
		EXPECT(per_cpu_ptr(irq_counts, cpu)->ipi[IPI_IRQ_WORK] > ipis);
		EXPECT(magazine_count(cache, cpu) < cache->limit); /* it made room as well */
		end();
	}
}

TEST(defer, interrupts_off, "with interrupts off it waits until they are on, and then is gone at once")
{
	u64 flags;

	if (!needs_magazines(72))
		return;
	REQUIRE(begin(10));
	flags = arch_irq_save();
	for (unsigned int i = 0; i < nr; i++)
		run_in(CTX_NMI, 0, free_one, objs[i]);
	EXPECT_EQ(defer_count(0), 10);
	for (unsigned int i = 0; i < 10; i++)
		EXPECT(defer_holds(0, objs[nr - 1 - i]));
	arch_irq_restore(flags);
	EXPECT_EQ(defer_count(0), 0);
	end();
}

static void serve_here(void *unused)
{
	(void)unused;
	defer_serve();
}

TEST(defer, served_anywhere, "what is served in an NMI, an interrupt or a debug exception is counted as served")
{
	if (!needs_magazines(72))
		return;
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		u64 flags, q = queued(0);

		REQUIRE(begin(10));
		flags = arch_irq_save();
		for (unsigned int i = 0; i < nr; i++)
			run_in(CTX_NMI, 0, free_one, objs[i]);
		EXPECT_EQ(queued(0) - q, 10);
		if (ctx != CTX_IRQ) /* that one comes when they are on */
			run_in((enum context)ctx, 0, serve_here, NULL);
		arch_irq_restore(flags);
		EXPECT_EQ(defer_count(0), 0);
		EXPECT_EQ(queued(0), served(0));
		end();
	}
}

#define LIMIT_NS 5000000000UL

TEST(defer, each_its_own, "what one CPU defers is served there, while another that has interrupts off has some waiting")
{
	unsigned int last = num_online_cpus() - 1, i = 0;
	u64 flags, start;

	if (!needs_magazines(72))
		return;
	if (!last) {
		test_skip("needs two CPUs");
		return;
	}
	REQUIRE(begin(DEFER_MAX + 100));
	flags = arch_irq_save();
	while (i < nr / 2 || !defer_count(0))
		run_in(CTX_NMI, 0, free_one, objs[i++]);
	while (i < nr)
		run_in(CTX_NMI, last, free_one, objs[i++]);
	for (start = arch_ns(); defer_count(last) && arch_ns() - start < LIMIT_NS;)
		cpu_relax();
	EXPECT_EQ(defer_count(last), 0);
	EXPECT(defer_count(0) > 0);
	arch_irq_restore(flags);
	end();
}

#define PATTERN 0x77
static void build(void *obj)
{
	memset(obj, PATTERN, 72);
}

TEST(defer, contents, "a constructed object waits with every byte as it was")
{
	u64 flags;

	if (!needs_magazines(72))
		return;
	test_frees_at_once();
	cache = kmem_cache_create("defer", 72, 0, 0, build);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i <= cache->limit; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		REQUIRE(objs[i] != NULL);
	}
	magazine_flush(cache, ~0UL);
	flags = arch_irq_save();
	for (unsigned int i = 0; i <= cache->limit; i++)
		run_in(CTX_NMI, 0, free_one, objs[i]);
	EXPECT(defer_holds(0, objs[cache->limit]));
	for (unsigned int k = 0; k < 72 / sizeof(u32); k++)
		EXPECT_EQ(sanitize_read32((u32 *)objs[cache->limit] + k), PATTERN * 0x1010101U);
	arch_irq_restore(flags);
	end();
}

/* ---- the barrier ---- */

static u32 holding, leave;
static volatile bool left;

/* No IPI is served here until some time after `leave`. */
static void hold_interrupts(void *unused)
{
	u64 flags = arch_irq_save();

	(void)unused;
	__atomic_store_n(&holding, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&leave, __ATOMIC_ACQUIRE))
		cpu_relax();
	for (unsigned int i = 0; i < 20000; i++)
		cpu_relax();
	left = true;
	arch_irq_restore(flags);
}

static void check_barrier(unsigned int cpu)
{
	REQUIRE(begin(5));
	holding = leave = 0;
	left = false;
	cpu_thread_run(cpu, hold_interrupts, NULL);
	while (!__atomic_load_n(&holding, __ATOMIC_ACQUIRE))
		cpu_relax();
	for (unsigned int i = 0; i < nr; i++)
		run_in(CTX_NMI, cpu, free_one, objs[i]);
	EXPECT_EQ(defer_count(cpu), 5);
	__atomic_store_n(&leave, 1, __ATOMIC_RELEASE);
	defer_free_barrier();
	EXPECT(left);
	EXPECT_EQ(defer_count(cpu), 0);
	EXPECT_EQ(queued(cpu), served(cpu));
	cpu_thread_wait(cpu);
	end();
}

TEST(defer, barrier, "the barrier waits for a CPU that has interrupts off, and what waits there is freed")
{
	unsigned int last = num_online_cpus() - 1;

	if (!needs_magazines(72))
		return;
	if (!last) {
		test_skip("needs two CPUs");
		return;
	}
	check_barrier(1);
	check_barrier(last);
}
