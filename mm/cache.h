/*
 * cache.h - what the calls that name a cache check first; for cache.c and bulk.c.
 */
#ifndef MM_CACHE_H
#define MM_CACHE_H

#include "mm/internal.h"

static inline bool bad_cache_pointer(const char *call, const struct kmem_cache *s)
{
	u64 off = (u64)s - (u64)caches;

	if (likely(off < sizeof(caches) && off % sizeof(*s) == 0 && __atomic_load_n(&s->live, __ATOMIC_ACQUIRE)))
		return false;
	mm_report(call, s, "not a cache");
	return true;
}

/* Report an object that is not of the cache it is freed to. */
void cache_free_wrong(const char *call, struct kmem_cache *s, void *obj);

/* leak.c: how many objects of the cache are in use, up to max of them to objs. Exact
 * while nobody uses the cache. Any context. */
u64 cache_in_use(const struct kmem_cache *s, void **objs, unsigned int max);
/* After the report of a cache that is to be destroyed too early: the lines that list them. */
void cache_report_in_use(const struct kmem_cache *s);

#endif
