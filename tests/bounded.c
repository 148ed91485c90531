/*
 * bounded.c - loops of the allocator that a handler could keep going: each turn gives objects
 * back to their slab, and is interrupted there by an allocation and a free of the same cache,
 * which put as much back where the loop takes from.
 */
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/run_in.h"
#include "mm/internal.h"
#include "tests/keep.h"
#include "tests/test.h"

#define SIZE 72
#define OVER 5
#define ENOUGH 10000UL /* then the loop is left alone, so that the case ends */
#define MOST (2 * MAG_SLOTS)

static struct kmem_cache *cache;
static void *objs[MAG_SLOTS + OVER];
static unsigned int nr;
static int from; /* the node that the handler's object is of */
static bool inside;
static u64 hits;

/* n objects more than a magazine holds are in use, and this one's is full. */
static bool begin(unsigned int n)
{
	test_frees_at_once();
	cache = kmem_cache_create("bounded", SIZE, 0, 0, NULL);
	nr = cache ? take_beyond_magazine(cache, objs, ARRAY_SIZE(objs), n) : 0;
	if (!nr)
		return false;
	while (nr > n)
		kmem_cache_free(cache, objs[--nr]);
	return magazine_count(cache, 0) == cache->limit;
}

static void end(void)
{
	while (nr)
		kmem_cache_free(cache, objs[--nr]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* Where objects go back into their slab. */
static bool take_and_give(struct regs *r, u64 dr6)
{
	void *p;

	(void)dr6;
	if (r->rip != (u64)slab_put || inside)
		return true;
	inside = true;
	if (++hits == ENOUGH)
		arch_hw_break_clear(0);
	p = kmem_cache_alloc_nolock(cache, 0, from);
	EXPECT(p != NULL);
	kmem_cache_free_nolock(cache, p);
	inside = false;
	return true;
}

static void flush(void)
{
	magazine_flush(cache, ~0UL);
}

static void serve(void)
{
	defer_serve();
}

/* Interrupts are off. */
static void check_ends(void (*loop)(void), int node)
{
	from = node;
	hits = 0;
	set_trap_hook(take_and_give);
	EXPECT_EQ(arch_hw_break_set(0, slab_put, HW_BREAK_EXEC, 1), 0);
	loop();
	arch_hw_break_clear(0);
	set_trap_hook(NULL);
	EXPECT(hits > 0 && hits < MOST);
	test_note("%lu turns", hits);
}

static bool can_break(void)
{
	if (!arch_hw_break_set(0, slab_put, HW_BREAK_EXEC, 1)) {
		arch_hw_break_clear(0);
		return true;
	}
	test_skip("no breakpoints");
	return false;
}

TEST(bounded, flush, "a flush of a magazine ends, though an allocation in each turn fills the magazine again")
{
	u64 flags;

	if (!can_break() || !needs_magazines(SIZE))
		return;
	REQUIRE(begin(0));
	flags = arch_irq_save();
	check_ends(flush, NUMA_NO_NODE);
	arch_irq_restore(flags);
	hook_sync();
	end();
}

static void free_one(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(cache, objs[--nr]);
}

TEST(bounded, serve, "a service of frees that were put off ends, though a free in each turn puts off one more")
{
	u64 flags;

	if (!can_break() || !needs_magazines(SIZE))
		return;
	REQUIRE(begin(OVER));
	flags = arch_irq_save();
	while (nr)
		run_in(CTX_NMI, 0, free_one, NULL);
	EXPECT_EQ(defer_count(0), OVER);
	check_ends(serve, page_home_node());
	EXPECT(defer_count(0) > 0); /* the last ones; they are asked for again */
	arch_irq_restore(flags);
	hook_sync();
	EXPECT_EQ(defer_count(0), 0);
	end();
}
