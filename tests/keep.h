/*
 * keep.h - does this build keep free objects and pages for its CPUs? Not with
 * CONFIG=tiny; and no objects of a cache that is debugged. A case that counts on it
 * begins with
 *
 *	if (!needs_magazines(200))
 *		return;
 *
 * and is reported as skipped there, with the reason. Thread context of the case.
 */
#ifndef TESTS_KEEP_H
#define TESTS_KEEP_H

#include <anyctx/slab.h>

/* Of kmalloc's class of that size, 1 to 8192: and so of any new cache, if the tests' own
 * are treated as kmalloc's are. */
bool needs_magazines(size_t size);
/* Of that cache. */
bool needs_magazines_of(const struct kmem_cache *s);
/* Nor is it debugged, what magazines it may have; of the same caches. */
bool needs_undebugged(size_t size);
/* Of single pages and small blocks. */
bool needs_private_pages(void);

/* Take as many objects of s as a magazine of it holds and n more into objs, which has room for
 * `room`, and leave all magazines empty: how many; 0: there is no room, or no memory. */
unsigned int take_beyond_magazine(struct kmem_cache *s, void **objs, unsigned int room, unsigned int n);

#endif
