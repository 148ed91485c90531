/*
 * fast.h - the short ways: an object from this CPU's magazine and back, inlined
 * into the public calls. No locked instruction, interrupts as they are.
 *
 * What is not plainly right goes the long way (alloc.c), which looks at all again.
 */
#ifndef MM_FAST_H
#define MM_FAST_H

#include "mm/internal.h"
#include <arch/frame.h>

/* An object whose mark is offset bytes into it; NULL: take the long way. */
static __always_inline void *fast_alloc(u64 cpu_off, u32 offset)
{
	void *obj;

	/* A constructed object's mark lies behind it: magazine_pop looks at that. */
	if (CONFIG_TINY)
		return NULL;
	if (unlikely(offset || local_pop_marked(&cache_cpu[0].top, cpu_off, free_mark, &obj) != LOCAL_DONE))
		return NULL;
	object_take(cache_at(cpu_off), obj, 0);
	return obj;
}

/*
 * Is p a multiple of the cache's stride? Then it is the start of an object, or of what a
 * slab has left over at its end, where there is a mark (slab.c). start_mul is 2^64 /
 * stride, and p times that, cut to 64 bits, as good as the remainder (slab_start_mul).
 */
static __always_inline bool start_of(const void *p, u64 cpu_off)
{
	return this_cpu_multiple(&cache_cpu[0].start_mul, cpu_off, (u64)p);
}

/*
 * True if p was an object in use of a plain cache (no constructor, and at multiples of its
 * stride), and has gone into the magazine.
 */
static __always_inline bool fast_free(void *p)
{
	u64 cpu_off;

	if (CONFIG_KASAN || CONFIG_TINY)
		return false; /* each free is looked at; there is no magazine */
	if (unlikely(!frame_cache_of(p, max_pfn, &cpu_off) || !start_of(p, cpu_off)))
		return false;
	if (unlikely(sanitize_equal32(mark_at(p, 0), free_mark))) /* or no memory at all */
		return false;
	object_give(cache_at(cpu_off), p, 0);
	if (likely(local_push(&cache_cpu[0].top, cpu_off, p) == LOCAL_DONE))
		return true;
	cache_free_slow(cache_at(cpu_off), p);
	return true;
}

#endif
