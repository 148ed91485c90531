/*
 * badfree_nested.c - bad frees in the middle of the report of another one, and of what
 * once was a slab.
 */
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/step.h"
#include "tests/test.h"

/* ---- a report at each instruction of a report ---- */

static u64 inner;

static void free_wild(void *p)
{
	kfree_nolock(p);
}

static void free_another(struct regs *r)
{
	(void)r;
	inner++;
	kfree_nolock((void *)0x2000);
}

TEST(badfree, reports_nest, "a bad free at every instruction of the report of another one: both are counted")
{
	u64 before = mm_reports(), points;

	if (!step_possible())
		return;
	test_expect_reports(0); /* they are not printed */
	inner = 0;
	points = step_through(free_wild, (void *)0x1000, free_another);
	EXPECT_EQ(mm_reports() - before, inner + 1);
	EXPECT(points > 500);
	test_expect_reports(inner + 1);
	test_note("%lu points", points);
}

/* ---- pages that were a slab's ---- */

#define MOST_BLOCKS 4096

/* A block of this order at this very place; NULL: none was found. */
static struct page *block_at(struct page *want, unsigned int order)
{
	struct page *first = NULL, *page;

	for (unsigned int i = 0; i < MOST_BLOCKS; i++) {
		page = alloc_pages(GFP_NOWAIT, order);
		if (!page || page == want)
			break;
		*(struct page **)page_address(page) = first;
		first = page;
	}
	while (first) {
		struct page *next = *(struct page **)page_address(first);

		free_pages(first, order);
		first = next;
	}
	return page;
}

static struct page *slab_that_was(struct kmem_cache *s, unsigned int *order)
{
	void *p = kmem_cache_alloc(s, GFP_KERNEL);
	struct page *head = p ? obj_slab(p) : NULL;

	if (!head)
		return NULL;
	*order = head->order;
	kmem_cache_free(s, p);
	EXPECT_EQ(kmem_cache_shrink(s), 1UL << *order);
	return head;
}

TEST(badfree, page_was_slab, "a pointer into a block whose pages were a slab is not taken for one of its objects")
{
	struct kmem_cache *s = kmem_cache_create("was-slab", 512, 0, 0, NULL);
	struct page *head, *page;
	unsigned int order;

	REQUIRE(s != NULL);
	reports_begin();
	head = slab_that_was(s, &order);
	REQUIRE(head != NULL && order > 0);
	page = block_at(head, order);
	REQUIRE(page == head);
	for (unsigned int i = 1; i < 1u << order; i++) {
		char *p = page_address(page + i);

		expect_bad_frees(p, "middle of the block");
		expect_bad_frees(p + 512, "middle of the block");
		expect_bad_cache_frees(s, p, "no object of a slab");
		expect_bad_looks(p, "not an allocated object");
	}
	free_pages(page, order);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}
