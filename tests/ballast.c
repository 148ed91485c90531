/*
 * ballast.c - memory put aside (ballast.h): blocks of pages, each with the address
 * of the next in its first word.
 */
#include "tests/ballast.h"
#include "mm/internal.h"
#include "tests/test.h"

#define LEAST_PAGES 32768UL /* 128 MiB */

static void **first;

static bool take_one(gfp_t gfp, unsigned int order)
{
	struct page *page = alloc_pages(gfp, order);
	void **block;

	if (!page)
		return false;
	block = page_address(page);
	*block = first;
	first = block;
	return true;
}

void ballast_take(u64 pages)
{
	while (nr_free_pages() > pages && take_one(GFP_NOWAIT, MAX_ORDER))
		;
}

void ballast_take_all(void)
{
	for (unsigned int order = NR_ORDERS; order--;)
		while (take_one(GFP_KERNEL, order))
			;
}

void ballast_take_most(void)
{
	ballast_take(4 * tight_high > LEAST_PAGES ? 4 * tight_high : LEAST_PAGES);
}

void ballast_give(void)
{
	while (first) {
		void **block = first;

		first = *block;
		kfree(block);
	}
}
