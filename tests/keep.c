/*
 * keep.c - cases that need what a build may not have (keep.h).
 */
#include "tests/keep.h"
#include "mm/mm.h"
#include "mm/slab_debug.h"
#include "tests/test.h"

bool needs_magazines(size_t size)
{
	if (mm_kept_of(size))
		return true;
	test_skip("no magazines for objects of this size");
	return false;
}

bool needs_magazines_of(const struct kmem_cache *s)
{
	if (mm_kept_by(s))
		return true;
	test_skip("the cache has no magazines");
	return false;
}

bool needs_undebugged(size_t size)
{
	if (!slab_debugged(&caches[__kmalloc_class_of(size)]))
		return true;
	test_skip("this cache is debugged, and the reports are others: slab_debug.*");
	return false;
}

bool needs_private_pages(void)
{
	if (mm_keeps_pages())
		return true;
	test_skip("no pages private to a CPU");
	return false;
}

unsigned int take_beyond_magazine(struct kmem_cache *s, void **objs, unsigned int room, unsigned int n)
{
	unsigned int all = s->limit + n;

	if (all > room)
		return 0;
	for (unsigned int i = 0; i < all; i++) {
		objs[i] = kmem_cache_alloc(s, GFP_KERNEL);
		if (!objs[i])
			return 0;
	}
	kmem_cache_shrink(s);
	return all;
}
