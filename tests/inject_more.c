/*
 * inject_more.c - calls for many objects at once, interrupted at every instruction.
 */
#include "mm/internal.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/test.h"

#define MANY 5

static void *objs[MANY];
static size_t got;

static void alloc_many(void *unused)
{
	(void)unused;
	got = kmem_cache_alloc_bulk_nolock(same, 0, NUMA_NO_NODE, MANY, objs);
}

static void free_many(void *unused)
{
	(void)unused;
	kmem_cache_free_bulk_nolock(same, MANY, objs);
}

static void free_many_any(void *unused)
{
	(void)unused;
	kfree_bulk_nolock(MANY, objs);
}

static bool settle_many(void)
{
	bool ok = got == MANY;

	for (size_t i = 0; i < got; i++)
		ok &= hold(objs[i]);
	return ok;
}

/* ---- many out ---- */

static void part_in_magazine(void)
{
	state_chain(same->objects / 2);
	state_magazine(3);
}

TEST(inject, bulk_alloc, "many objects, some out of the magazine, the rest by a refill, interrupted")
{
	sweep(&(struct interrupted){ .state = part_in_magazine, .run = alloc_many, .settle = settle_many });
}

static void part_in_magazine_tight(void)
{
	state_chain(3);
	state_tight(true);
}

TEST(inject, bulk_alloc_tight, "many objects while memory is tight, interrupted")
{
	sweep(&(struct interrupted){ .state = part_in_magazine_tight, .run = alloc_many, .settle = settle_many });
}

/* ---- many back ---- */

/* Memory may have become tight meanwhile: then nobody keeps anything, or could. */
static bool settle_kept(void)
{
	return !mm_tight || (!magazine_count(same, 0) && !magazine_room(same));
}

static void many_used(unsigned int in_magazine)
{
	state_chain(2);
	state_magazine(in_magazine);
	for (unsigned int i = 0; i < MANY; i++)
		objs[i] = let_go();
}

static void room_for_some(void)
{
	many_used(SAME_LIMIT - 2);
}

TEST(inject, bulk_free, "many objects back: some into the magazine, the rest into their slab, interrupted")
{
	sweep(&(struct interrupted){ .state = room_for_some, .run = free_many, .settle = settle_kept });
}

TEST(inject, bulk_free_any, "the same by kfree_bulk in an NMI, interrupted")
{
	sweep(&(struct interrupted){ .state = room_for_some, .run = free_many_any, .settle = settle_kept, .in_nmi = true });
}

static void many_used_tight(void)
{
	state_chain(2);
	state_tight(true);
	for (unsigned int i = 0; i < MANY; i++)
		objs[i] = let_go();
}

TEST(inject, bulk_free_tight, "many objects back while memory is tight, interrupted")
{
	sweep(&(struct interrupted){ .state = many_used_tight, .run = free_many, .settle = settle_kept });
}
