/*
 * info.c - what the views of memory print (meminfo, slabinfo, buddyinfo) adds up, and is
 * what there is. Their lines are caught on the way to the console.
 */
#include <anyctx/memcg.h>
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/caught.h"
#include "tests/test.h"

/* Every other page of some, so that there are blocks of all orders. */
#define HOLES 64

TEST(info, buddyinfo, "the free blocks of all orders and nodes add up to the free pages")
{
	static struct page *page[2 * HOLES];
	const char *p;
	u64 pages = 0, singles = 0;

	for (unsigned int i = 0; i < 2 * HOLES; i++)
		page[i] = alloc_pages(GFP_KERNEL, 0);
	for (unsigned int i = 0; i < 2 * HOLES; i += 2)
		free_pages(page[i], 0);
	mm_quiesce();
	p = caught_of(mm_print_buddyinfo);
	for (unsigned int nid = 0; nid < num_nodes(); nid++) {
		p = line_with(p, "node ");
		REQUIRE(p && number_in(&p) == nid);
		for (unsigned int order = 0; order <= MAX_ORDER; order++) {
			u64 n = number_in(&p);

			REQUIRE(n != ~0UL);
			pages += n << order;
			singles += order ? 0 : n;
		}
	}
	EXPECT_EQ(pages, nr_free_pages());
	EXPECT(singles >= HOLES - 2);
	for (unsigned int i = 1; i < 2 * HOLES; i += 2)
		free_pages(page[i], 0);
}

#define IN_USE 7

TEST(info, slabinfo, "a cache's line tells its size, slabs, and objects in use and cached")
{
	struct kmem_cache *s = kmem_cache_create("info", 100, 0, 0, NULL);
	void *obj[IN_USE + 1];
	const char *p;
	u64 slabs;

	REQUIRE(s != NULL);
	for (unsigned int i = 0; i <= IN_USE; i++)
		obj[i] = kmem_cache_alloc(s, GFP_KERNEL);
	kmem_cache_free(s, obj[IN_USE]);
	p = line_with(caught_of(mm_print_slabinfo), "info ");
	REQUIRE(p != NULL);
	EXPECT_EQ(number_in(&p), 100);
	EXPECT_EQ(number_in(&p), s->order);
	slabs = number_in(&p);
	EXPECT(slabs > 0);
	EXPECT_EQ(number_in(&p), slabs * s->objects);
	EXPECT_EQ(number_in(&p), IN_USE);
	EXPECT_EQ(number_in(&p), magazine_count(s, smp_processor_id()));
	for (unsigned int i = 0; i < IN_USE; i++)
		kmem_cache_free(s, obj[i]);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(info, memcg, "a group's line tells its depth, what is in use, the most there was, its limit, and what it refused")
{
	struct mem_cgroup *top = mem_cgroup_create(NULL, "info-top"), *g = mem_cgroup_create(top, "info-below");
	struct mem_cgroup *was = set_active_memcg(g);
	struct page *page[2] = { alloc_pages(GFP_KERNEL_ACCOUNT, 3), alloc_pages(GFP_KERNEL_ACCOUNT, 1) };
	const char *p;

	mem_cgroup_set_limit(g, PAGE_SIZE << 4);
	free_pages(page[1], 1);
	EXPECT(!alloc_pages(GFP_KERNEL_ACCOUNT, 4));
	set_active_memcg(was);
	p = line_with(caught_of(mm_print_memcg), "info-below ");
	REQUIRE(top && page[0] && p);
	EXPECT_EQ(number_in(&p), 1);
	EXPECT_EQ(number_in(&p), PAGE_SIZE << 3);
	EXPECT_EQ(number_in(&p), mem_cgroup_watermark(g));
	EXPECT_EQ(number_in(&p), PAGE_SIZE << 4);
	EXPECT_EQ(number_in(&p), 1);
	free_pages(page[0], 3);
	mem_cgroup_put(g);
	mem_cgroup_put(top);
	EXPECT(!line_with(caught_of(mm_print_memcg), "info-below "));
}

TEST(info, meminfo, "the pages managed, free and in blocks are those that there are")
{
	struct page *page = alloc_pages(GFP_KERNEL, 4);
	const char *text, *p;
	u64 blocks;

	text = caught_of(mm_print_meminfo);
	p = line_with(text, "memory: ");
	REQUIRE(page && p);
	EXPECT_EQ(number_in(&p), nr_managed_pages());
	number_in(&p); /* MiB */
	EXPECT_EQ(number_in(&p), nr_free_pages());
	p = line_with(text, "  pages in slabs ");
	REQUIRE(p != NULL);
	number_in(&p);
	number_in(&p);
	blocks = number_in(&p);
	free_pages(page, 4);
	p = line_with(caught_of(mm_print_meminfo), "  pages in slabs ");
	number_in(&p);
	number_in(&p);
	EXPECT_EQ(number_in(&p), blocks - 16);
}
