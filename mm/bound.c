/*
 * bound.c - how many instructions a call takes at most (docs/design.md, "How long a
 * call takes", argues each number). Any context.
 */
#include "mm/internal.h"
#include "mm/mm.h"

/* A line looked at, word by word, for any order, and its three hints mended. */
#define LINE_INSNS 4000UL
/* Looks at the map, by all ways there are, that one attempt to get pages takes; one of them
 * is of an object that is wanted on a node: each node by itself. */
#define PAGE_LOOKS 13UL
/* Alone, a reclaim finds something twice at most: what was cached, then slabs that
 * became empty by that. So there are three attempts, with two looks each after the first. */
#define PAGE_ATTEMPT_LOOKS (PAGE_LOOKS + 2 * 2)
#define OBJECT_ATTEMPTS 3UL
#define SLAB_ORDERS 2UL /* that a new slab is tried with */
#define OBJECT_INSNS 60UL  /* an object on its way from a magazine to its slab */
#define SLAB_INSNS 400UL   /* a slab looked at by a trim, and released */
#define CALL_INSNS 20000UL /* all the rest, a flush of 64 and a new slab of 1,000 objects included */
#define CHARGE_INSNS 100000UL /* paid for by a group: a charge that is refused 32 times, each time with a drain */

/* CONFIG=kasan: before each access a check, of so many instructions with it at most. */
#define CHECK_INSNS 30UL
/* And a block's shadow is written, eight bytes at a time, and a track for each page. */
#define BLOCK_SHADOW_INSNS (2 * (PAGE_SIZE << MAX_ORDER) / 64 + 40 * (1UL << MAX_ORDER))

/* What a reclaim gives back: all that this CPU keeps, and each slab there may be. */
static u64 reclaim_insns(void)
{
	u64 objects = DEFER_MAX, slabs = managed_pages;

	for (u32 i = 1; i < MAX_CACHES; i++)
		if (__atomic_load_n(&caches[i].live, __ATOMIC_ACQUIRE))
			objects += caches[i].limit;
	return objects * OBJECT_INSNS + slabs * SLAB_INSNS;
}

u64 mm_call_bound(void)
{
	u64 look = nr_lines * LINE_INSNS;
	u64 n = CALL_INSNS + CHARGE_INSNS + OBJECT_ATTEMPTS * (SLAB_ORDERS * PAGE_ATTEMPT_LOOKS * look + reclaim_insns());

	return CONFIG_KASAN ? n * CHECK_INSNS + BLOCK_SHADOW_INSNS : n;
}
