/*
 * up.c - one CPU: a lock is a lock there too, so that an NMI that interrupts its holder
 * knows; and what goes to other CPUs goes nowhere. Both hold with CONFIG=up, whatever the
 * machine has, and in any build on a machine of one CPU.
 */
#include <anyctx/spinlock.h>
#include <arch/irq.h>
#include "mm/internal.h"
#include "mm/mm.h"
#include "kernel/run_in.h"
#include "tests/pattern.h"
#include "tests/test.h"

static spinlock_t lock = SPINLOCK_INIT;
static u64 served, refused;

static bool one_cpu(void)
{
	if (num_online_cpus() == 1)
		return true;
	test_skip("needs one CPU");
	return false;
}

/* The lock is held below: that is seen, and everything is to be had all the same. */
static void while_held(void *unused)
{
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, 3);
	void *small = kmalloc_nolock(100, 0, NUMA_NO_NODE), *large = kmalloc_nolock(100000, 0, NUMA_NO_NODE);
	u64 flags;

	(void)unused;
	EXPECT(spin_is_locked(&lock));
	refused += !spin_trylock(&lock);
	refused += !spin_trylock_irqsave(&lock, &flags);
	EXPECT(page && small && large);
	if (page && small && large) {
		pattern_fill(large, 100000);
		pattern_fill(small, 100);
		EXPECT(pattern_ok(large, 100000) && pattern_ok(small, 100));
		served++;
	}
	free_pages_nolock(page, 3);
	kfree_nolock(small);
	kfree_nolock(large);
}

TEST(up, lock_holder, "who interrupts the holder of a lock finds it held, and is served")
{
	if (!one_cpu())
		return;
	served = refused = 0;
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		spin_lock(&lock);
		run_in((enum context)ctx, 0, while_held, NULL);
		spin_unlock(&lock);
	}
	EXPECT_EQ(served, NR_CONTEXT);
	EXPECT_EQ(refused, 2 * NR_CONTEXT);
	EXPECT(spin_trylock(&lock));
	spin_unlock(&lock);
}

static u64 here;

static void count_here(void *unused)
{
	(void)unused;
	EXPECT_EQ(smp_processor_id(), 0);
	here++;
}

TEST(up, no_ipis, "calls to all CPUs run here alone, and no interrupt is sent for them")
{
	u64 before;

	if (!one_cpu())
		return;
	before = this_cpu_read64(irq_counts.ipi[IPI_CALL]);
	here = 0;
	on_each_cpu(count_here, NULL, true);
	EXPECT_EQ(here, 1);
	EXPECT_EQ(smp_call_function(count_here, NULL, true), 0);
	EXPECT_EQ(smp_call_function(count_here, NULL, false), 0);
	EXPECT_EQ(here, 1); /* there are no others */
	EXPECT_EQ(smp_call_function_single(0, count_here, NULL, true), 0);
	EXPECT_EQ(smp_call_function_single(1, count_here, NULL, true), -EINVAL);
	EXPECT_EQ(here, 2);
	defer_free_barrier();
	mm_quiesce();
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		run_in((enum context)ctx, 0, count_here, NULL);
	EXPECT_EQ(here, 2 + NR_CONTEXT);
	EXPECT_EQ(this_cpu_read64(irq_counts.ipi[IPI_CALL]), before);
}
