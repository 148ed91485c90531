/*
 * inject_cpus.c - two CPUs: CPU 0 stops between two instructions of a call while CPU 1
 * makes whole calls on the same slab, stacks, words and lines.
 *
 * CPU 1 keeps nothing in its magazines or private pages afterwards, so that its calls
 * reach what CPU 0 is at; what it holds it leaves to CPU 0.
 */
#include "mm/internal.h"
#include "tests/cpu1.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

/* ---- what CPU 1 does ---- */

static void allocate_many(void)
{
	void *p[3 * SAME_LIMIT];

	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = kmem_cache_alloc(same, GFP_NOWAIT);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
		nested_want(p[i]);
		if (i)
			kmem_cache_free(same, p[i]);
		else
			hold(p[i]);
	}
}

static void free_two(void)
{
	kfree(let_go());
	magazine_flush(same, ~0UL);
	kfree(let_go());
}

static void take_node(void)
{
	for (unsigned int i = 0; i < 3; i++)
		nested_want(hold(kmem_cache_alloc_nolock(same, 0, page_home_node())));
}

static void trim(void)
{
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		partial_trim(same, nid);
}

static void take_pages(void)
{
	static struct page *page[40];
	unsigned int order = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(page); i++, order = i & 3)
		page[i] = alloc_pages_node(page_home_node(), GFP_NOWAIT, order);
	order = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(page); i++, order = i & 3) {
		nested_want(page[i]);
		free_pages(page[i], order);
	}
}

static void take_large(void)
{
	for (unsigned int order = 6; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_NOWAIT, order);

		nested_want(page);
		free_pages(page, order);
	}
}

/* And nothing is left in CPU 1's magazines and private pages. */
static void leave_nothing(void)
{
	magazine_flush(same, ~0UL);
	magazine_flush(other, ~0UL);
	page_flush_cpu();
}

#define ON_CPU1(name) \
	static void name##_there(void *unused) \
	{ \
		(void)unused; \
		on_cpu1(name); \
		on_cpu1(leave_nothing); \
	}
ON_CPU1(allocate_many)
ON_CPU1(free_two)
ON_CPU1(take_node)
ON_CPU1(trim)
ON_CPU1(take_pages)
ON_CPU1(take_large)

static const struct nested_call there[] = {
	{ "allocations", allocate_many_there }, { "frees", free_two_there },
	{ "one by one", take_node_there },      { "trim", trim_there },
	{ "pages", take_pages_there },          { "large blocks", take_large_there },
};

/* ---- what CPU 0 does ---- */

static void *obj;
static struct page *page;
static unsigned int order;

static void alloc_object(void *unused)
{
	(void)unused;
	obj = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
}

static void free_object(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(same, obj);
}

static void alloc_block(void *unused)
{
	(void)unused;
	page = alloc_pages_nolock(0, NUMA_NO_NODE, order);
}

static void free_block(void *unused)
{
	(void)unused;
	free_pages_nolock(page, order);
}

static void trim_here(void *unused)
{
	(void)unused;
	trim();
}

static bool settle_object(void)
{
	return hold(obj);
}

static bool settle_block(void)
{
	return page && hold(page_address(page));
}

static void half_free(void)
{
	state_chain(same->objects / 2);
}

static void one_free(void)
{
	state_chain(1);
}

static void three_free_tight(void)
{
	state_chain(3);
	state_tight(true);
}

static void used_tight(void)
{
	three_free_tight();
	obj = let_go();
}

static void none_free(void)
{
	state_chain(0);
}

static void full_magazine(void)
{
	state_chain(2);
	state_magazine(SAME_LIMIT);
	obj = let_go();
}

static void none_free_tight(void)
{
	state_chain(0);
	state_tight(true);
	obj = let_go();
}

static void two_slabs(void)
{
	state_chain(3);
	state_empty_slab();
}

static void no_pages(void)
{
	state_chain(4);
	page_flush_cpu();
}

static void block_used(void)
{
	state_chain(4);
	page_flush_cpu();
	page = alloc_pages_node(page_home_node(), GFP_NOWAIT, order);
}

static const struct here {
	const char *name;
	void (*state)(void);
	void (*run)(void *);
	bool (*settle)(void);
	unsigned int order;
} objects[] = {
	{ "allocation, half of the slab free", half_free, alloc_object, settle_object, 0 },
	{ "allocation of the slab's last object", one_free, alloc_object, settle_object, 0 },
	{ "allocation of a new slab", none_free, alloc_object, settle_object, 0 },
	{ "allocation, tight", three_free_tight, alloc_object, settle_object, 0 },
	{ "free with a full magazine", full_magazine, free_object, NULL, 0 },
	{ "free, tight", used_tight, free_object, NULL, 0 },
	{ "first free into a slab, tight", none_free_tight, free_object, NULL, 0 },
	{ "trim", two_slabs, trim_here, NULL, 0 },
}, blocks[] = {
	{ "a page", no_pages, alloc_block, settle_block, 0 },
	{ "order 3", no_pages, alloc_block, settle_block, 3 },
	{ "order 6", no_pages, alloc_block, settle_block, 6 },
	{ "order 9", no_pages, alloc_block, settle_block, 9 },
	{ "order 10", no_pages, alloc_block, settle_block, 10 },
	{ "free of a page", block_used, free_block, NULL, 0 },
	{ "free of order 6", block_used, free_block, NULL, 6 },
	{ "free of order 9", block_used, free_block, NULL, 9 },
	{ "free of order 10", block_used, free_block, NULL, 10 },
};

static void sweep_all(const struct here *h, unsigned int n)
{
	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	if (!step_possible())
		return;
	REQUIRE(states_begin());
	cpu1_start();
	for (unsigned int i = 0; i < n; i++) {
		order = h[i].order;
		test_note("%s:", h[i].name);
		sweep_with(&(struct interrupted){ .state = h[i].state, .run = h[i].run, .settle = h[i].settle,
						  .elsewhere = true }, there, ARRAY_SIZE(there));
	}
	cpu1_stop();
	states_end();
}

TEST(inject, two_cpus_objects, "between two instructions of a call for objects another CPU makes whole calls")
{
	sweep_all(objects, ARRAY_SIZE(objects));
}

TEST(inject, two_cpus_pages, "between two instructions of a call for pages another CPU makes whole calls")
{
	sweep_all(blocks, ARRAY_SIZE(blocks));
}
