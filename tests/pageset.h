/*
 * pageset.h - a set of page frames, a bit each: who has what. Adding and removing: any
 * context, any CPU at once; the rest: thread context.
 */
#ifndef TESTS_PAGESET_H
#define TESTS_PAGESET_H

#include <anyctx/gfp.h>

/* An empty set of all frames; false: no memory. Allocates it. */
bool pageset_begin(void);
void pageset_end(void);
/* Returns how many of the block's pages were there already (add) or not (remove). */
unsigned int pageset_add(const struct page *page, unsigned int order);
unsigned int pageset_remove(const struct page *page, unsigned int order);
/* The first page of the set at or behind pfn; NULL: none. */
struct page *pageset_next(u64 pfn);
/* How many. */
u64 pageset_count(void);

#endif
