/*
 * inject_objects.c - allocations and frees of objects, in each state of magazine, slabs
 * and pages, interrupted at every instruction.
 */
#include "mm/internal.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/test.h"

static void *obj; /* what the call returns, or frees */

static void alloc_object(void *unused)
{
	(void)unused;
	obj = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
}

static void alloc_of_node(void *unused)
{
	(void)unused;
	obj = kmem_cache_alloc_nolock(same, __GFP_ZERO, page_home_node());
}

static void free_object(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(same, obj);
}

static bool settle_alloc(void)
{
	return hold(obj);
}

#define ALLOC(name, make_state, call, proves) \
	TEST(inject, alloc_##name, proves) \
	{ \
		sweep(&(struct interrupted){ .state = make_state, .run = call, .settle = settle_alloc }); \
	}
#define FREE(name, make_state, nmi, proves) \
	TEST(inject, free_##name, proves) \
	{ \
		sweep(&(struct interrupted){ .state = make_state, .run = free_object, .in_nmi = nmi }); \
	}

/* ---- allocations ---- */

static void in_magazine(void)
{
	state_chain(2);
	state_magazine(4);
}

ALLOC(magazine, in_magazine, alloc_object, "an object out of the magazine, interrupted at every instruction")

static void one_in_magazine(void)
{
	state_chain(0);
	state_magazine(1);
}

ALLOC(last_in_magazine, one_in_magazine, alloc_object, "the last object of the magazine, interrupted")

static void in_chain(void)
{
	state_chain(same->objects / 2);
}

ALLOC(partial, in_chain, alloc_object, "an object out of a slab's chain, with refill, interrupted")

static void last_in_chain(void)
{
	state_chain(1);
}

ALLOC(partial_last, last_in_chain, alloc_object, "the last object of a slab's chain, interrupted")

static void none_but_pages(void)
{
	state_chain(0);
	state_private();
}

ALLOC(new_slab, none_but_pages, alloc_object, "an object of a new slab, its pages private, interrupted")

static void none(void)
{
	state_chain(0);
	page_flush_cpu();
}

ALLOC(new_slab_refill, none, alloc_object, "an object of a new slab, its pages out of the map, interrupted")

ALLOC(node, in_chain, alloc_of_node, "an object of one node, interrupted")

static void in_chain_tight(void)
{
	state_chain(3);
	state_tight(true);
}

ALLOC(tight, in_chain_tight, alloc_object, "an object while memory is tight, interrupted")

static void none_tight(void)
{
	state_chain(0);
	state_tight(true);
}

ALLOC(tight_new, none_tight, alloc_object, "an object of a new slab while memory is tight, interrupted")

/* ---- frees ---- */

static void used(void)
{
	state_chain(2);
	state_magazine(2);
	obj = let_go();
}

FREE(magazine, used, false, "an object into the magazine, interrupted at every instruction")

static void magazine_full(void)
{
	state_chain(2);
	state_magazine(SAME_LIMIT);
	obj = let_go();
}

FREE(flush, magazine_full, false, "an object with the magazine full, which is flushed, interrupted")
FREE(defer, magazine_full, true, "an object in an NMI with the magazine full: deferred, interrupted")

static void used_tight(void)
{
	state_chain(2);
	state_tight(true);
	obj = let_go();
}

FREE(tight, used_tight, false, "an object while memory is tight, interrupted")

static void all_used_tight(void)
{
	state_chain(0);
	state_tight(true);
	obj = let_go();
}

FREE(tight_first, all_used_tight, false, "the first object into a slab that was full, interrupted")

/* ---- by NMIs ---- */

static void nmi_alloc(const char *name, void (*state)(void))
{
	sweep_nmi(name, &(struct interrupted){ .state = state, .run = alloc_object, .settle = settle_alloc });
}

static void nmi_free(const char *name, void (*state)(void))
{
	sweep_nmi(name, &(struct interrupted){ .state = state, .run = free_object });
}

TEST(inject, nmi_objects, "allocations and frees of objects interrupted by NMIs that allocate and free")
{
	nmi_alloc("magazine", in_magazine);
	nmi_alloc("partial slab", in_chain);
	nmi_alloc("new slab", none);
	nmi_alloc("tight", in_chain_tight);
	nmi_free("free", used);
	nmi_free("free, full magazine", magazine_full);
	nmi_free("free, tight", used_tight);
}
