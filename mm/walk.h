/*
 * walk.h - counting by looking at everything; for check.c and info.c.
 */
#ifndef MM_WALK_H
#define MM_WALK_H

#include "mm/internal.h"

struct walk {
	u64 free, private;        /* pages: in the map; held by CPUs for themselves */
	u64 pages[NR_PAGE_TYPES]; /* by what their descriptors say */
	u64 slabs[MAX_CACHES], objects[MAX_CACHES];
	u64 idle[MAX_CACHES];     /* objects on their slabs' chains */
	u64 listed[MAX_CACHES];   /* slabs that say that they are on a stack */
};

/* Only reads; exact at rest. each, if not NULL, is called for each slab. */
void walk_all(struct walk *w, void (*each)(struct page *head));
/* The pages of a word that are in the free map, each a bit; is this one? */
u32 free_map_of(u64 w);
bool page_is_free(u64 pfn);

#endif
