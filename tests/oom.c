/*
 * oom.c - the end of memory in single steps: the mode of little memory begins and
 * ends, the very last page and object can be had from every context of every CPU,
 * and calls that fail leave everything as it was. Everybody at once: oom_storm.c.
 */
#include <anyctx/llist.h>
#include "kernel/hooks.h"
#include "kernel/run_in.h"
#include "lib/bits.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include "tests/ballast.h"
#include "tests/keep.h"
#include "tests/pattern.h"
#include "tests/test.h"

static struct llist_head held;
static struct kmem_cache *cache;

/* To the last one: these calls wait for what other CPUs still cache. */
static void take_all_pages(void)
{
	struct page *page;

	for (unsigned int order = NR_ORDERS; order--;)
		while ((page = alloc_pages(GFP_KERNEL, order)))
			llist_add(page_address(page), &held);
}

static void take_all_objects(void)
{
	void *obj;

	while ((obj = kmem_cache_alloc(cache, GFP_KERNEL)))
		llist_add(obj, &held);
}

static void give_all(void)
{
	struct llist_node *n = llist_del_all(&held);

	while (n) {
		struct llist_node *next = n->next;

		kfree(n);
		n = next;
	}
}

/* ---- the mode of little memory ---- */

static u64 cached_anywhere(void)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		for (unsigned int i = 0; i < NR_PRIVATE; i++)
			n += (u32)per_cpu_ptr(page_cpu, cpu)->private[i] != 0;
		for (u32 id = 1; id < MAX_CACHES; id++)
			if (caches[id].live)
				n += magazine_count(&caches[id], cpu);
	}
	return n;
}

/* Something in the magazines and the private words of this CPU. */
static void cache_something(void *unused)
{
	void *p[4] = { kmalloc(32, GFP_KERNEL), kmalloc(100, GFP_KERNEL), kmalloc(3000, GFP_KERNEL) };
	struct page *page[2] = { alloc_pages(GFP_KERNEL, 0), alloc_pages(GFP_KERNEL, 2) };

	(void)unused;
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		kfree(p[i]);
	free_pages(page[0], 0);
	free_pages(page[1], 2);
}

#define RESERVE 256

/* Cached by nobody, after all IPIs sent before have been served. */
static void check_nothing_cached(void)
{
	defer_settle();
	EXPECT_EQ(cached_anywhere(), 0);
}

TEST(oom, tight_mode,
     "with little memory left every CPU gives back what it caches, and keeps nothing; later it does")
{
	static struct page *reserve[RESERVE];

	if (!needs_private_pages())
		return;
	for (unsigned int i = 0; i < RESERVE; i++)
		reserve[i] = alloc_pages(GFP_KERNEL, 0);
	on_each_cpu_thread(cache_something, NULL);
	EXPECT(!mm_tight);
	EXPECT(cached_anywhere() > 0);
	take_all_pages();
	EXPECT(mm_tight);
	check_nothing_cached();
	EXPECT_EQ(nr_free_pages(), 0);
	for (unsigned int i = 0; i < RESERVE; i++)
		free_pages(reserve[i], 0);
	on_each_cpu_thread(cache_something, NULL);
	EXPECT(mm_tight);
	check_nothing_cached();
	give_all();
	EXPECT(!mm_tight);
	on_each_cpu_thread(cache_something, NULL);
	EXPECT(cached_anywhere() > 0);
}

TEST(oom, empty_slabs, "empty slabs that a cache keeps are given up before a page allocation fails")
{
	cache = kmem_cache_create("oom", 200, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i < 1000; i++)
		llist_add(kmem_cache_alloc(cache, GFP_KERNEL), &held);
	give_all();
	take_all_pages();
	EXPECT_EQ(nr_free_pages(), 0);
	give_all();
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- the very last one ---- */

static struct {
	unsigned int order;
	struct page *page;
	void *obj;
	bool second; /* there was one more */
} last;

static void take_last_page(void *unused)
{
	(void)unused;
	last.page = alloc_pages_nolock(0, NUMA_NO_NODE, last.order);
	last.second = alloc_pages_nolock(0, NUMA_NO_NODE, last.order) != NULL;
}

static void give_last_page(void *unused)
{
	(void)unused;
	free_pages_nolock(last.page, last.order);
}

static void take_last_object(void *unused)
{
	(void)unused;
	last.obj = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE);
	last.second = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE) != NULL;
}

static void give_last_object(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(cache, last.obj);
}

/* Given back in each context, on the first and the last CPU, and had in each other. */
static void pass_round(void (*give)(void *), void (*take)(void *))
{
	unsigned int end = num_online_cpus() - 1;

	for (unsigned int i = 0; i < NR_CONTEXT * NR_CONTEXT; i++)
		for (unsigned int k = 0; k < 4; k++) {
			run_in((enum context)(i / NR_CONTEXT), k & 1 ? end : 0, give, NULL);
			last.page = NULL;
			last.obj = NULL;
			run_in((enum context)(i % NR_CONTEXT), k & 2 ? end : 0, take, NULL);
			if (!(last.page || last.obj) || last.second) {
				test_fail(__FILE__, __LINE__, "order %u: given in %s, %s in %s", last.order,
					  context_name((enum context)(i / NR_CONTEXT)),
					  last.second ? "had twice" : "not to be had",
					  context_name((enum context)(i % NR_CONTEXT)));
				return;
			}
		}
}

TEST(oom, last_page, "the last block of each order, freed in any context and CPU, is had once in any other")
{
	static struct page *page[NR_ORDERS];

	for (unsigned int order = 0; order < NR_ORDERS; order++) {
		page[order] = alloc_pages(GFP_KERNEL, order);
		REQUIRE(page[order] != NULL);
	}
	ballast_take(0);
	take_all_pages();
	for (last.order = 0; last.order < NR_ORDERS; last.order++) {
		last.page = page[last.order];
		pass_round(give_last_page, take_last_page);
		page[last.order] = last.page;
	}
	for (unsigned int order = 0; order < NR_ORDERS; order++)
		free_pages(page[order], order);
	give_all();
	ballast_give();
}

TEST(oom, last_object, "the last object of a cache, freed in any context and CPU, is had once in any other")
{
	void *keeps_slab;

	cache = kmem_cache_create("oom", 200, 0, 0, NULL);
	REQUIRE(cache != NULL);
	keeps_slab = kmem_cache_alloc(cache, GFP_KERNEL);
	last.obj = kmem_cache_alloc(cache, GFP_KERNEL);
	REQUIRE(keeps_slab && last.obj);
	ballast_take(0);
	take_all_pages();
	take_all_objects();
	last.order = 0;
	pass_round(give_last_object, take_last_object);
	kmem_cache_free(cache, last.obj);
	kmem_cache_free(cache, keeps_slab);
	give_all();
	ballast_give();
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- calls that fail ---- */

TEST(oom, calls_fail, "without memory each call says NULL, is counted, and leaves everything as it was")
{
	struct mm_stats before, after;
	char *p = kmalloc(100, GFP_KERNEL);
	bool magazines = mm_kept_of(64); /* a cache has some, so it needs memory when it is made */
	void *obj;

	REQUIRE(p != NULL);
	pattern_fill(p, 100);
	ballast_take(0);
	take_all_pages();
	while ((obj = kmalloc(100, GFP_KERNEL)))
		llist_add(obj, &held);
	mm_get_stats(&before);
	EXPECT(!kmalloc(100, GFP_KERNEL) && !kzalloc(100, GFP_KERNEL) && !kmalloc(1 << 20, GFP_KERNEL));
	EXPECT(!kmalloc_node(100, GFP_KERNEL, 0) && !kmalloc_nolock(100, 0, NUMA_NO_NODE));
	EXPECT(!alloc_pages(GFP_KERNEL, 0) && !alloc_pages(GFP_KERNEL, MAX_ORDER));
	EXPECT(!alloc_pages_nolock(0, 0, 3) && !alloc_frozen_pages_nolock(__GFP_ZERO, NUMA_NO_NODE, 9));
	EXPECT(!krealloc(p, 5000, GFP_KERNEL));
	EXPECT(!krealloc(p, 500000, GFP_KERNEL));
	EXPECT(!magazines || !kmem_cache_create("oom", 64, 0, 0, NULL));
	mm_get_stats(&after);
	EXPECT_EQ(after.failures - before.failures, 11 + (u64)magazines);
	EXPECT_EQ(after.spurious_failures, before.spurious_failures);
	EXPECT(pattern_ok(p, 100));
	kfree(p);
	p = kmalloc(100, GFP_KERNEL); /* the one that was freed */
	EXPECT(p != NULL);
	kfree(p);
	give_all();
	ballast_give();
}

/* ---- one node's memory, while there is more on another ---- */

static u64 free_on_node(int nid)
{
	u64 n = 0;

	for (u64 w = 0; w < nr_lines * LINE_WORDS; w++)
		if (line_node[w / LINE_WORDS] == nid)
			n += popcount32(free_map_of(w));
	return n;
}

static void take_node(int nid)
{
	u64 there, taken = 0;
	struct page *page;

	mm_quiesce();
	there = free_on_node(nid);
	on_each_cpu_thread(cache_something, NULL);
	for (unsigned int order = NR_ORDERS; order--;)
		while ((page = alloc_pages_node(nid, GFP_KERNEL | __GFP_THISNODE, order))) {
			EXPECT_EQ(page_to_nid(page), nid);
			llist_add(page_address(page), &held);
			taken += 1UL << order;
		}
	EXPECT_EQ(taken, there);
	EXPECT_EQ(free_on_node(nid), 0);
	page = alloc_pages_node(nid, GFP_KERNEL, 0); /* the other's will do here */
	EXPECT(page && page_to_nid(page) != nid);
	free_pages(page, 0);
	give_all();
}

TEST(oom, one_node,
     "a node's memory is had to the last page, what its CPUs cache too, while another's is not little")
{
	unsigned int with_memory = 0;

	for (int nid = 0; nid < (int)num_nodes(); nid++)
		with_memory += free_on_node(nid) != 0;
	if (with_memory < 2) {
		test_skip("needs two nodes with memory");
		return;
	}
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		if (free_on_node(nid))
			take_node(nid);
}
