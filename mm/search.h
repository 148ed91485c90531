/*
 * search.h - finding free pages in the map; for page.c, and for the tests.
 */
#ifndef MM_SEARCH_H
#define MM_SEARCH_H

#include "mm/internal.h"

#define NO_PFN (~0UL)

/* Take a block from the lines [first, end) of node nid (-1: any), by hints. */
u64 search_range(u64 first, u64 end, int nid, unsigned int order, bool force);
/* Take one as near to node nid as there is; this_node: or none. */
u64 take_nearest(int nid, unsigned int order, bool this_node);
/* Take any there is, of node nid or of any if -1. */
u64 take_last_look(int nid, unsigned int order);
/* The i-th nearest node of nid, itself the first. */
int nearest_node(int nid, unsigned int i);
/* Which hint leads to blocks of this order. */
enum hint hint_for(unsigned int order);
/* Do line and line + 1 look wholly free? */
bool pair_looks_free(u64 line);

#endif
