/*
 * matrix_memcg.c - the matrix's row of a group at its limit, a case for each context: what
 * is paid for is had to the last byte that the limit allows, and not one more; what is not
 * paid for is had all the same; and after one free there is one more.
 */
#include <anyctx/memcg.h>
#include <arch/irq.h>
#include "kernel/run_in.h"
#include "tests/pattern.h"
#include "tests/test.h"

#define LIMIT_PAGES 64u
#define OBJECT 64u
#define OBJECTS ((unsigned int)PAGE_SIZE / OBJECT) /* in the room of a page, at most */

static struct mem_cgroup *group;
static struct page *pages[LIMIT_PAGES + 1];
static void *objs[OBJECTS + 1];
static unsigned int nr_pages, nr_objects;
static bool irqs_off;
static u64 rounds;

static void take_pages(void)
{
	while (nr_pages <= LIMIT_PAGES && (pages[nr_pages] = alloc_pages_nolock(__GFP_ACCOUNT, NUMA_NO_NODE, 0)))
		nr_pages++;
	EXPECT_EQ(nr_pages, LIMIT_PAGES);
}

/* In the room of the page that was given back. What one takes, its place in the slab, hangs
 * on the build: the first one tells. */
static void take_objects(void)
{
	u64 before = mem_cgroup_usage(group), place = 0;

	while (nr_objects <= OBJECTS && (objs[nr_objects] = kmalloc_nolock(OBJECT, __GFP_ACCOUNT, NUMA_NO_NODE))) {
		pattern_fill(objs[nr_objects], OBJECT);
		if (!nr_objects++)
			place = mem_cgroup_usage(group) - before;
	}
	EXPECT(place >= OBJECT);
	EXPECT_EQ(nr_objects, place ? PAGE_SIZE / place : 0);
	EXPECT_EQ(mem_cgroup_usage(group), before + nr_objects * place);
}

static void unpaid(void)
{
	void *p = kmalloc_nolock(OBJECT, 0, NUMA_NO_NODE);
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, 3);

	EXPECT(p && page);
	kfree_nolock(p);
	free_pages_nolock(page, 3);
}

static void give_all(void)
{
	while (nr_objects) {
		EXPECT(pattern_ok(objs[nr_objects - 1], OBJECT));
		kfree_nolock(objs[--nr_objects]);
	}
	while (nr_pages)
		free_pages_nolock(pages[--nr_pages], 0);
}

static void at_the_limit(void *unused)
{
	u64 flags = irqs_off ? arch_irq_save() : 0, failed = mem_cgroup_failcnt(group);
	struct mem_cgroup *before = set_active_memcg(group);

	(void)unused;
	take_pages();
	EXPECT_EQ(mem_cgroup_usage(group), LIMIT_PAGES * PAGE_SIZE);
	unpaid();
	if (nr_pages)
		free_pages_nolock(pages[--nr_pages], 0);
	take_objects();
	EXPECT_EQ(mem_cgroup_failcnt(group), failed + 2);
	unpaid();
	give_all();
	EXPECT_EQ(mem_cgroup_usage(group), 0);
	rounds++;
	set_active_memcg(before);
	if (irqs_off)
		arch_irq_restore(flags);
}

static void in_context(enum context ctx, bool off)
{
	group = mem_cgroup_create(NULL, "matrix");
	REQUIRE(group != NULL);
	mem_cgroup_set_limit(group, LIMIT_PAGES * PAGE_SIZE);
	irqs_off = off;
	rounds = 0;
	for (unsigned int i = 0; i < 3; i++) /* what other CPUs hold in advance is taken back */
		for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
			run_in(ctx, cpu, at_the_limit, NULL);
	EXPECT_EQ(rounds, 3 * num_online_cpus());
	mem_cgroup_put(group);
	test_note("%lu times at the limit on %u CPUs", rounds, num_online_cpus());
}

TEST(matrix_memcg, thread, "a group at its limit, in threads: all that it allows and no more, and then one again")
{
	in_context(CTX_THREAD, false);
}

TEST(matrix_memcg, irq_off, "the same with interrupts off")
{
	in_context(CTX_THREAD, true);
}

TEST(matrix_memcg, irq, "the same in interrupts")
{
	in_context(CTX_IRQ, false);
}

TEST(matrix_memcg, nmi, "the same in NMIs")
{
	in_context(CTX_NMI, false);
}

TEST(matrix_memcg, breakpoint, "the same in breakpoints")
{
	in_context(CTX_DEBUG, false);
}
