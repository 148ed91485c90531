/*
 * ballast.c - memory put aside (ballast.h): blocks of order 10, each with the address
 * of the next in its first word.
 */
#include "tests/ballast.h"
#include "mm/internal.h"
#include "tests/test.h"

#define LEAST_PAGES 32768UL /* 128 MiB */

static void **first;

void ballast_take(u64 pages)
{
	while (nr_free_pages() > pages) {
		struct page *page = alloc_pages(GFP_NOWAIT, MAX_ORDER);
		void **block;

		if (!page)
			return;
		block = page_address(page);
		*block = first;
		first = block;
	}
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
		free_pages(virt_to_page(block), MAX_ORDER);
	}
}
