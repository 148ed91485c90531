/*
 * fail.h - allocations that fail because they were told to: for tests, the main job
 * and soak runs, to see that every caller bears NULL and that nothing is lost by it.
 *
 * Two layers. FAIL_SLAB: a call for an object says NULL. FAIL_PAGE: a call for a block
 * of pages does, be it the user's or that of a slab which is to be made; that one has
 * ways to go on (a smaller slab, another try), so not each such failure is a NULL that
 * the user sees.
 *
 * What it costs while off: nothing on the fast paths, which have no test for it at all,
 * and a load and a branch on the long ways. So that calls which would find an object
 * or a page at hand can be made to fail too (at_hand), they are made to take the long
 * way: the allocator is held in the mode of little memory, in which magazines are
 * closed and private pages empty. Without at_hand everybody caches as always and only
 * calls that take a long way anyway are looked at, so that refills are what fails.
 *
 * An injected failure counts here, neither as a failure for want of memory nor as one
 * while memory was free.
 */
#ifndef MM_FAIL_H
#define MM_FAIL_H

#include <anyctx/types.h>

struct kmem_cache;

enum fail_layer { FAIL_SLAB, FAIL_PAGE, NR_FAIL_LAYER };

#define FAIL_ALWAYS 1000000 /* per million */

/* Which calls of a layer are looked at, and which of those fail: those that nth,
 * interval or per_million names. A call is counted from 1 when armed. */
struct fail_knobs {
	u64 nth;           /* this one; 0: none */
	u64 interval;      /* the last of each so many; 0: none */
	u64 per_million;   /* so many, by seed and number of the call; 0: none */
	u32 contexts;      /* bits by enum context; 0: all */
	u32 orders;        /* FAIL_PAGE: bits by order; 0: all */
	const char *cache; /* FAIL_SLAB: of the cache of this name; NULL: all */
};

struct fail_setup {
	struct fail_knobs layer[NR_FAIL_LAYER];
	u64 seed;
	bool at_hand; /* also what a CPU has at hand, see above */
};

/* CPU 0 while booting: read the kernel arguments; false: told what is wrong. */
bool fail_init(void);
/* What they say. */
const struct fail_setup *fail_arguments(void);

/* From now on, until disarmed; nothing happens if no knob is set. Counts begin anew.
 * Thread context, interrupts on. */
void fail_arm(const struct fail_setup *setup);
void fail_disarm(void);

/* Since armed: calls looked at, and failures injected. Any context, like all below. */
u64 fail_calls(enum fail_layer layer);
u64 fail_injected(enum fail_layer layer);
/* Failures injected on this CPU since boot: a caller that finds the number changed has
 * perhaps been told NULL without cause. */
u64 fail_injected_here(void);
/* A line for each layer whose knobs are set. */
void fail_print(void);

/* For the allocator. Is anything armed; is nobody to keep what is free? */
extern bool fail_on, fail_keep_none;
bool fail_slab_now(const struct kmem_cache *s);
bool fail_page_now(unsigned int order);

/* Is this call to fail? */
static __always_inline bool fail_slab(const struct kmem_cache *s)
{
	return unlikely(READ_ONCE(fail_on)) && fail_slab_now(s);
}

static __always_inline bool fail_page(unsigned int order)
{
	return unlikely(READ_ONCE(fail_on)) && fail_page_now(order);
}

#endif
