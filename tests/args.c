/*
 * args.c - arguments of the allocation calls: nodes honoured, flags accepted; what is
 * out of range is one report and NULL, in every context.
 */
#include <arch/machine.h>
#include "kernel/hooks.h"
#include "mm/internal.h"
#include "tests/badcall.h"
#include "tests/nodes.h"
#include "tests/test.h"

/* ---- nodes ---- */

/* From this node if it has memory; else NULL if it must be, from another if not. */
static void check_node(int nid, bool strict, void *p)
{
	if (p && node_has_memory(nid))
		EXPECT_EQ(nid_of(p), nid);
	EXPECT_EQ(p != NULL, node_has_memory(nid) || !strict);
	kfree(p);
}

static void check_node_sizes(int nid, gfp_t gfp)
{
	static const size_t sizes[] = { 8, 100, 4096, 8192, 20000, 1 << 20, 2 << 20, 4 << 20 };
	bool strict = gfp & __GFP_THISNODE;

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		check_node(nid, strict, kmalloc_node(sizes[i], GFP_KERNEL | gfp, nid));
		check_node(nid, strict, kmalloc_nolock(sizes[i], gfp, nid));
	}
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages_node(nid, GFP_KERNEL | gfp, order);

		check_node(nid, strict, page ? page_address(page) : NULL);
		page = alloc_pages_nolock(gfp, nid, order);
		check_node(nid, strict, page ? page_address(page) : NULL);
	}
}

TEST(args, node,
     "memory of the node asked for; with __GFP_THISNODE that or none, without it the nearest there is")
{
	struct kmem_cache *s = kmem_cache_create("args", 72, 0, 0, NULL);

	REQUIRE(s != NULL);
	for (int nid = 0; nid < (int)num_nodes(); nid++) {
		check_node_sizes(nid, 0);
		check_node_sizes(nid, __GFP_THISNODE);
		check_node(nid, false, kmem_cache_alloc_nolock(s, 0, nid));
		check_node(nid, true, kmem_cache_alloc_nolock(s, __GFP_THISNODE, nid));
	}
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	test_note("%u nodes", num_nodes());
}

static void check_home(void *unused)
{
	int own = cpu_to_node(smp_processor_id());
	struct page *page = alloc_pages(GFP_KERNEL, 0);
	void *p = kmalloc(20000, GFP_KERNEL);

	(void)unused;
	EXPECT(page && p);
	if (page && p && node_has_memory(own)) {
		EXPECT_EQ(page_to_nid(page), own);
		EXPECT_EQ(nid_of(p), own);
	}
	free_pages(page, 0);
	kfree(p);
}

TEST(args, home_node, "without a node each CPU gets memory of its own, if there is any, else of another")
{
	on_each_cpu_thread(check_home, NULL);
}

static void check_home_after_remote(int nid, unsigned int order)
{
	struct page *page = alloc_pages_node(nid, GFP_KERNEL | __GFP_THISNODE, order);

	if (!page)
		return;
	page_flush_cpu();
	free_pages(page, order);
	check_home(NULL);
	page = alloc_pages(GFP_KERNEL, order);
	EXPECT(page && (page_to_nid(page) == cpu_to_node(0) || !node_has_memory(cpu_to_node(0))));
	free_pages(page, order);
}

TEST(args, home_after_remote, "so it is after the CPU has freed memory of another node")
{
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		for (unsigned int order = 0; order <= MAX_ORDER; order++)
			check_home_after_remote(nid, order);
}

TEST(args, flags, "every known flag, alone and with all others, is accepted by every call")
{
	struct kmem_cache *s = kmem_cache_create("args", 72, 0, 0, NULL);
	struct kmem_cache *paid = kmem_cache_create("args-paid", 72, 0, SLAB_ACCOUNT, NULL);
	gfp_t gfp = 0;

	REQUIRE(s && paid);
	do {
		struct page *page[] = { alloc_pages(gfp, 1), alloc_pages_node(NUMA_NO_NODE, gfp, 1),
					alloc_pages_nolock(gfp, NUMA_NO_NODE, 1) };
		void *p[] = { kmalloc(100, gfp), kzalloc(20000, gfp), kmalloc_node(100, gfp, NUMA_NO_NODE),
			      kmalloc_nolock(100, gfp, NUMA_NO_NODE), krealloc(NULL, 100, gfp),
			      kmem_cache_alloc(gfp & __GFP_ACCOUNT ? paid : s, gfp),
			      kmem_cache_alloc_nolock(gfp & __GFP_ACCOUNT ? paid : s, gfp, NUMA_NO_NODE) };

		for (unsigned int i = 0; i < ARRAY_SIZE(page); i++) {
			EXPECT(page[i] != NULL);
			free_pages(page[i], 1);
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
			EXPECT(p[i] != NULL);
			kfree(p[i]);
		}
		gfp = (gfp - GFP_VALID_MASK) & GFP_VALID_MASK; /* the next set of its bits */
	} while (gfp);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	EXPECT_EQ(kmem_cache_destroy(paid), 0);
}

/* ---- out of range ---- */

struct args {
	size_t size; /* or order */
	gfp_t gfp;
	int nid;
};
static struct kmem_cache *cache;

#define CALLER(name, call) \
	static void name(void *arg) \
	{ \
		const struct args *a = arg; \
		EXPECT((call) == NULL); \
	}
CALLER(do_kmalloc, kmalloc(a->size, a->gfp))
CALLER(do_kzalloc, kzalloc(a->size, a->gfp))
CALLER(do_kmalloc_node, kmalloc_node(a->size, a->gfp, a->nid))
CALLER(do_kmalloc_nolock, kmalloc_nolock(a->size, a->gfp, a->nid))
CALLER(do_krealloc, krealloc(NULL, a->size, a->gfp))
CALLER(do_cache, kmem_cache_alloc(cache, a->gfp))
CALLER(do_cache_nolock, kmem_cache_alloc_nolock(cache, a->gfp, a->nid))
CALLER(do_pages, alloc_pages(a->gfp, (unsigned int)a->size))
CALLER(do_pages_node, alloc_pages_node(a->nid, a->gfp, (unsigned int)a->size))
CALLER(do_pages_nolock, alloc_pages_nolock(a->gfp, a->nid, (unsigned int)a->size))
CALLER(do_frozen_nolock, alloc_frozen_pages_nolock(a->gfp, a->nid, (unsigned int)a->size))

enum { TAKES_SIZE = 1, TAKES_ORDER = 2, TAKES_NODE = 4, ANYWHERE = 8 };
static const struct {
	const char *name;
	void (*fn)(void *);
	unsigned int what;
} calls[] = {
	{ "kmalloc", do_kmalloc, TAKES_SIZE },
	{ "kzalloc", do_kzalloc, TAKES_SIZE },
	{ "kmalloc_node", do_kmalloc_node, TAKES_SIZE | TAKES_NODE },
	{ "kmalloc_nolock", do_kmalloc_nolock, TAKES_SIZE | TAKES_NODE | ANYWHERE },
	{ "krealloc", do_krealloc, TAKES_SIZE },
	{ "kmem_cache_alloc", do_cache, 0 },
	{ "kmem_cache_alloc_nolock", do_cache_nolock, TAKES_NODE | ANYWHERE },
	{ "alloc_pages", do_pages, TAKES_ORDER },
	{ "alloc_pages_node", do_pages_node, TAKES_ORDER | TAKES_NODE },
	{ "alloc_pages_nolock", do_pages_nolock, TAKES_ORDER | TAKES_NODE | ANYWHERE },
	{ "alloc_frozen_pages_nolock", do_frozen_nolock, TAKES_ORDER | TAKES_NODE | ANYWHERE },
};

/* In all calls that take such an argument. */
static void expect_refused(unsigned int what, struct args a, const char *word)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		struct bad_call b = { calls[i].fn, &a, calls[i].name, NULL, word };

		if ((calls[i].what & what) == what)
			expect_bad(&b, calls[i].what & ANYWHERE ? ALL_CONTEXTS : CALL_CONTEXTS);
	}
}

TEST(args, bad_size, "a size above 4 MiB is one report and NULL, up to SIZE_MAX")
{
	static const size_t sizes[] = { KMALLOC_MAX_SIZE + 1, 2 * KMALLOC_MAX_SIZE, 1UL << 32,
					(1UL << 32) + 8, 1UL << 63, SIZE_MAX - 7, SIZE_MAX };

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_refused(TAKES_SIZE, (struct args){ sizes[i], 0, NUMA_NO_NODE }, "above the largest");
}

TEST(args, bad_order, "an order above 10 is one report and NULL")
{
	static const unsigned int orders[] = { 11, 12, 31, 32, 63, 64, 127, 0x80000000, ~0u };

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++)
		expect_refused(TAKES_ORDER, (struct args){ orders[i], 0, NUMA_NO_NODE }, "out of range");
}

TEST(args, bad_flags, "an unknown flag is one report and NULL, whatever the size")
{
	static const gfp_t flags[] = { 1u << 5, 1u << 31, ~0u, ~GFP_VALID_MASK };

	reports_begin();
	cache = kmem_cache_create("args", 72, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		expect_refused(0, (struct args){ 0, flags[i], NUMA_NO_NODE }, "unknown gfp flags");
		expect_refused(0, (struct args){ 10, flags[i], NUMA_NO_NODE }, "unknown gfp flags");
		expect_refused(TAKES_SIZE, (struct args){ 20000, flags[i], NUMA_NO_NODE },
			       "unknown gfp flags");
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(args, bad_node, "a node that there is not is one report and NULL, with and without __GFP_THISNODE")
{
	const int nodes[] = { (int)num_nodes(), MAX_NUMNODES, 1000, -2, -1000, INT32_MIN, INT32_MAX };

	reports_begin();
	cache = kmem_cache_create("args", 72, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(nodes); i++) {
		expect_refused(TAKES_NODE, (struct args){ 3, 0, nodes[i] }, "out of range");
		expect_refused(TAKES_NODE, (struct args){ 3, __GFP_THISNODE, nodes[i] }, "out of range");
		expect_refused(TAKES_NODE | TAKES_SIZE, (struct args){ 9000, 0, nodes[i] }, "out of range");
		expect_refused(TAKES_NODE | TAKES_SIZE, (struct args){ 0, 0, nodes[i] }, "out of range");
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(args, not_a_cache, "what is no cache is refused by every call that takes one")
{
	struct kmem_cache *gone;

	reports_begin();
	gone = kmem_cache_create("args", 72, 0, 0, NULL);
	REQUIRE(gone != NULL);
	EXPECT_EQ(kmem_cache_destroy(gone), 0);
	for (unsigned int i = 0; i < 7; i++) {
		const u64 none[] = { (u64)gone, (u64)&caches[0], (u64)&caches[1] + 8,
				     (u64)&caches[MAX_CACHES], 0, (u64)kfree, 0x8000000000000000 };
		struct args a = { 0, 0, NUMA_NO_NODE };
		struct bad_call b = { do_cache, &a, "kmem_cache_alloc", (void *)none[i], "not a cache" };

		cache = (struct kmem_cache *)none[i];
		expect_bad(&b, CALL_CONTEXTS);
		b.fn = do_cache_nolock;
		b.call = "kmem_cache_alloc_nolock";
		expect_bad(&b, ALL_CONTEXTS);
	}
}
