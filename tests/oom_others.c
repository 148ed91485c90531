/*
 * oom_others.c - at the end of memory a nolock call gets what other CPUs cache, whether
 * they take interrupts or not.
 *
 * CPU 1 fills its magazines and private pages, then idles or spins with interrupts off.
 * CPU 0 takes every page with interrupts off, as an NMI would; at its first NULL nobody
 * may hold a free page, and then objects of the caches that CPU 1 had must be had too.
 */
#include "kernel/hooks.h"
#include "mm/internal.h"
#include "tests/test.h"

static const size_t sizes[] = { 64, 2048, 4096, 8192 };
#define OBJECTS 300

static u32 go_on, holding;

static void fill_caches(void)
{
	static void *p[ARRAY_SIZE(sizes)][OBJECTS];

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned int k = 0; k < OBJECTS; k++)
			p[i][k] = kmalloc_nolock(sizes[i], 0, NUMA_NO_NODE);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned int k = 0; k < OBJECTS; k++)
			kfree_nolock(p[i][k]);
	free_pages_nolock(alloc_pages_nolock(0, NUMA_NO_NODE, 0), 0);
}

static void hold(void *interrupts_off)
{
	u64 flags = arch_irq_save();

	if (!interrupts_off)
		arch_irq_restore(flags);
	fill_caches();
	__atomic_store_n(&holding, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
		cpu_relax();
	if (interrupts_off)
		arch_irq_restore(flags);
}

/* All pages there are, chained through their first words. */
static u64 **take_all(u64 *n)
{
	u64 **chain = NULL;
	struct page *page;

	for (*n = 0; (page = alloc_pages_nolock(__GFP_NOWARN, NUMA_NO_NODE, 0)); ++*n) {
		u64 **p = page_address(page);

		*p = (u64 *)chain;
		chain = p;
	}
	return chain;
}

static void give_all(u64 **chain)
{
	while (chain) {
		u64 **next = (u64 **)*chain;

		kfree_nolock(chain);
		chain = next;
	}
}

static void end_of_memory(bool interrupts_off, bool off_here)
{
	u64 n, left, flags = 0;
	u64 **chain;

	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	go_on = holding = 0;
	cpu_thread_run(1, hold, interrupts_off ? &go_on : NULL);
	while (!__atomic_load_n(&holding, __ATOMIC_ACQUIRE))
		cpu_relax();
	if (off_here)
		flags = arch_irq_save();
	chain = take_all(&n);
	left = nr_free_pages();
	give_all(chain);
	if (off_here)
		arch_irq_restore(flags);
	__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
	cpu_thread_wait(1);
	test_note("%lu pages taken, then NULL with %lu free", n, left);
	EXPECT_EQ(left, 0);
}

TEST(oom_others, idle, "at the first NULL no other CPU holds a free page that could be had: interrupts on")
{
	end_of_memory(false, true);
}

TEST(oom_others, interrupts_off, "the same with a CPU that does not take interrupts")
{
	end_of_memory(true, true);
}

TEST(oom_others, not_waited_for, "a nolock call in a thread does not wait for that CPU to take interrupts")
{
	end_of_memory(true, false);
}
