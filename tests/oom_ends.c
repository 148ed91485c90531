/*
 * oom_ends.c - the mode of little memory begins in time, and ends when enough has come back, whatever the
 * order of the blocks.
 */
#include "mm/internal.h"
#include "tests/ballast.h"
#include "tests/test.h"

struct chain {
	struct chain *next;
};

/* All blocks of the order that there are. */
static struct chain *take_all(unsigned int order)
{
	struct chain *c = NULL;
	struct page *page;

	while ((page = alloc_pages(GFP_NOWAIT, order))) {
		struct chain *first = page_address(page);

		first->next = c;
		c = first;
	}
	return c;
}

static void give_all(struct chain *c, unsigned int order)
{
	while (c) {
		struct chain *next = c->next;

		free_pages(virt_to_page(c), order);
		c = next;
	}
}

TEST(oom, tight_begins, "the mode of little memory begins as soon as less than its bound is free")
{
	u64 low = tight_low, high = tight_high;
	struct chain *c = NULL;
	struct page *page;

	EXPECT(!mm_tight);
	/* Many times a line, that it may be told from a part of it. */
	tight_low = nr_managed_pages() / 8;
	tight_high = tight_low + tight_low / 4;
	ballast_take_most();
	/* The count is looked at once a line. */
	while (nr_free_pages() + LINE_PAGES > tight_low && (page = alloc_pages(GFP_NOWAIT, 5))) {
		struct chain *first = page_address(page);

		first->next = c;
		c = first;
	}
	EXPECT(nr_free_pages() > 0);
	EXPECT(mm_tight);
	give_all(c, 5);
	ballast_give();
	EXPECT(!mm_tight);
	tight_low = low;
	tight_high = high;
}

TEST(oom, tight_ends, "the mode of little memory ends by frees of blocks of one order alone")
{
	static const unsigned int orders[] = { 6, 8, LINE_SHIFT, MAX_ORDER };

	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++) {
		struct chain *blocks = take_all(orders[i]), *rest = take_all(0);

		EXPECT(mm_tight);
		EXPECT_EQ(nr_free_pages(), 0);
		give_all(blocks, orders[i]);
		EXPECT(!mm_tight);
		give_all(rest, 0);
	}
}
