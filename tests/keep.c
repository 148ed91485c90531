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
