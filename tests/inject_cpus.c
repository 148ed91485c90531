/*
 * inject_cpus.c - two CPUs: each ordered pair of calls on the same slab, stacks, words,
 * lines and deferred frees; CPU 0 stopped at its instructions, and CPU 1 as well
 * (inject_pair.h).
 */
#include "mm/internal.h"
#include "tests/cpu1.h"
#include "tests/inject_pair.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

/* ---- what CPU 1 does ---- */

#define MANY (3 * SAME_LIMIT)

static void *got[MANY], *given[2];

/* The first of them is kept. */
static void allocate_many(void)
{
	for (unsigned int i = 0; i < MANY; i++)
		got[i] = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
	for (unsigned int i = 1; i < MANY; i++)
		kmem_cache_free_nolock(same, got[i]);
}

static bool settle_many(void)
{
	for (unsigned int i = 1; i < MANY; i++)
		nested_want(got[i]);
	return hold(got[0]);
}

static void two_to_free(void)
{
	given[0] = let_go();
	given[1] = let_go();
}

static void free_two(void)
{
	kfree(given[0]);
	magazine_flush(same, ~0UL);
	kfree(given[1]);
}

static void take_node(void)
{
	for (unsigned int i = 0; i < 3; i++)
		got[i] = kmem_cache_alloc_nolock(same, 0, page_home_node());
}

static bool settle_node(void)
{
	bool ok = true;

	for (unsigned int i = 0; i < 3; i++)
		ok &= hold(got[i]);
	return ok;
}

static void trim(void)
{
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		partial_trim(same, nid);
}

/* Frees that were put off, served at once; of a cache without magazines nobody defers them,
 * nor while the other CPU is stopped in its wait for all of them. */
static void defer_and_serve(void)
{
	u64 flags;

	if (!same->limit) {
		kfree(given[0]);
		kfree(given[1]);
		return;
	}
	flags = arch_irq_save(); /* nobody else serves them */
	for (unsigned int i = 0; i < 2; i++) {
		object_give(same, given[i], same->offset);
		if (!defer_free(given[i])) {
			EXPECT(defer_closed());
			slab_put(same, &given[i], 1);
		}
	}
	defer_serve();
	arch_irq_restore(flags);
}

static void close_and_open(void)
{
	magazine_close(same);
	magazine_open(same);
}

static void take_reclaim(void)
{
	got[0] = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
	reclaim();
}

static bool settle_one(void)
{
	return hold(got[0]);
}

static void create_and_destroy(const char *name)
{
	struct kmem_cache *s = kmem_cache_create(name, 72, 0, 0, NULL);
	void *p = s ? kmem_cache_alloc(s, GFP_NOWAIT) : NULL;

	nested_want(p);
	if (s)
		kmem_cache_free(s, p);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

static void cache_there(void)
{
	create_and_destroy("inject-there");
}

static void barrier_there(void)
{
	kfree(given[0]);
	kfree(given[1]);
	defer_free_barrier();
}

/* Small ones, of all orders in a word. */
static struct page *small[12];

static void take_pages(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(small); i++)
		small[i] = alloc_pages_nolock(0, page_home_node(), i % 6);
	for (unsigned int i = 0; i < ARRAY_SIZE(small); i++)
		free_pages_nolock(small[i], i % 6);
}

static bool settle_pages(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(small); i++)
		nested_want(small[i]);
	return true;
}

static struct page *large[MAX_ORDER + 1];

static void take_large(void)
{
	for (unsigned int k = 6; k <= MAX_ORDER; k++) {
		large[k] = alloc_pages_nolock(0, NUMA_NO_NODE, k);
		free_pages_nolock(large[k], k);
	}
}

static bool settle_large(void)
{
	for (unsigned int k = 6; k <= MAX_ORDER; k++)
		nested_want(large[k]);
	return true;
}

static const struct pair_b there[] = {
	{ "allocations with refill", NULL, allocate_many, settle_many, false, false },
	{ "frees with flush", two_to_free, free_two, NULL, false, false },
	{ "allocations of one node", NULL, take_node, settle_node, false, false },
	{ "trim", NULL, trim, NULL, false, false },
	{ "frees deferred and served", two_to_free, defer_and_serve, NULL, false, false },
	{ "close", NULL, close_and_open, NULL, false, false },
	{ "reclaim", NULL, take_reclaim, settle_one, false, true },
	{ "cache made and destroyed", NULL, cache_there, NULL, true, false },
	{ "barrier", two_to_free, barrier_there, NULL, true, false },
	{ "pages", NULL, take_pages, settle_pages, false, false },
	{ "large blocks", NULL, take_large, settle_large, false, false },
};

/* ---- what CPU 0 does ---- */

static void *obj;
static struct page *page;

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
	page = alloc_pages_nolock(0, NUMA_NO_NODE, pair_order);
}

static void free_block(void *unused)
{
	(void)unused;
	free_pages_nolock(page, pair_order);
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
	page = alloc_pages_node(page_home_node(), GFP_NOWAIT, pair_order);
}

static void serve_here(void *unused)
{
	(void)unused;
	defer_serve();
}

static void deferred(void)
{
	state_chain(1);
	state_deferred(3);
}

static void flush_here(void *unused)
{
	(void)unused;
	magazine_flush(same, ~0UL);
	page_flush_cpu();
}

static void cached(void)
{
	state_chain(2);
	state_magazine(5);
	state_private();
}

static void close_here(void *unused)
{
	(void)unused;
	close_and_open();
}

static void reclaim_here(void *unused)
{
	(void)unused;
	reclaim();
}

static void cache_here(void *unused)
{
	(void)unused;
	arch_irq_enable(); /* it waits for CPU 1, which may wait for this one */
	create_and_destroy("inject-here");
	arch_irq_disable();
}

static void barrier_here(void *unused)
{
	(void)unused;
	arch_irq_enable();
	defer_free_barrier();
	arch_irq_disable();
}

static const struct pair_a objects[] = {
	{ "allocation, half of the slab free", half_free, alloc_object, settle_object, 0, false },
	{ "allocation of the slab's last object", one_free, alloc_object, settle_object, 0, false },
	{ "allocation of a new slab", none_free, alloc_object, settle_object, 0, false },
	{ "allocation, tight", three_free_tight, alloc_object, settle_object, 0, false },
	{ "free with a full magazine", full_magazine, free_object, NULL, 0, false },
	{ "free, tight", used_tight, free_object, NULL, 0, false },
	{ "first free into a slab, tight", none_free_tight, free_object, NULL, 0, false },
	{ "trim", two_slabs, trim_here, NULL, 0, false },
	{ "deferred frees served", deferred, serve_here, NULL, 0, false },
	{ "flush", cached, flush_here, NULL, 0, false },
	{ "close", cached, close_here, NULL, 0, false },
	{ "reclaim", cached, reclaim_here, NULL, 0, false },
	{ "cache made and destroyed", half_free, cache_here, NULL, 0, true },
	{ "barrier", deferred, barrier_here, NULL, 0, true },
}, blocks[] = {
	{ "a page", no_pages, alloc_block, settle_block, 0, false },
	{ "order 3", no_pages, alloc_block, settle_block, 3, false },
	{ "order 5", no_pages, alloc_block, settle_block, 5, false },
	{ "order 6", no_pages, alloc_block, settle_block, 6, false },
	{ "order 9", no_pages, alloc_block, settle_block, 9, false },
	{ "order 10", no_pages, alloc_block, settle_block, 10, false },
	{ "free of a page", block_used, free_block, NULL, 0, false },
	{ "free of order 6", block_used, free_block, NULL, 6, false },
	{ "free of order 9", block_used, free_block, NULL, 9, false },
	{ "free of order 10", block_used, free_block, NULL, 10, false },
};

void pairs_run(void (*fn)(const void *), const void *arg)
{
	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	if (!step_possible())
		return;
	REQUIRE(states_begin());
	cpu1_start();
	fn(arg);
	cpu1_stop();
	states_end();
}

static void sweep_table(const void *t)
{
	pairs_sweep(t);
}

static void sweep_all(const struct pair_table *t)
{
	pairs_run(sweep_table, t);
}

TEST(inject, two_cpus_objects, "each pair of calls for objects, one stopped at its instructions, then both")
{
	sweep_all(&(struct pair_table){ "inject.two_cpus_objects", objects, there, ARRAY_SIZE(objects),
					ARRAY_SIZE(there) });
}

TEST(inject, two_cpus_pages, "each pair of calls for pages and others, one stopped, then both")
{
	sweep_all(&(struct pair_table){ "inject.two_cpus_pages", blocks, there, ARRAY_SIZE(blocks),
					ARRAY_SIZE(there) });
}
