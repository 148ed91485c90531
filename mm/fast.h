/*
 * fast.h - the short ways: an object from this CPU's magazine and back, inlined
 * into the public calls. No locked instruction, interrupts as they are.
 *
 * What is not plainly right goes the long way (alloc.c), which looks at all again.
 */
#ifndef MM_FAST_H
#define MM_FAST_H

#include "mm/internal.h"
#include <arch/descriptor.h>

_Static_assert(sizeof(struct page) == 24, "descriptor_read16 wants it");

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

/* Is p the start of an object, in a cache of one-page slabs? */
static __always_inline bool odd_start(const void *p, u64 cpu_off)
{
	u32 inverse = this_cpu_read32_at(&cache_cpu[0].odd_inverse, cpu_off), off = (u64)p & ~PAGE_MASK;

	return off * inverse < inverse && off < this_cpu_read32_at(&cache_cpu[0].odd_end, cpu_off);
}

/*
 * True if p was an object in use of a plain cache (a power of two or one-page
 * slabs, no constructor), and has gone into the magazine.
 */
static __always_inline bool fast_free(void *p)
{
	u64 cpu_off;

	if (CONFIG_KASAN || CONFIG_TINY)
		return false; /* each free is looked at; there is no magazine */
	if (unlikely(!descriptor_read16(&vmemmap[0].cpu_off, addr_pfn(p), max_pfn, &cpu_off)))
		return false;
	if (this_cpu_test64(&cache_cpu[0].mask, cpu_off, (u64)p) && !odd_start(p, cpu_off))
		return false;
	if (unlikely(sanitize_equal32(mark_at(p, 0), free_mark)))
		return false;
	object_give(cache_at(cpu_off), p, 0);
	if (likely(local_push(&cache_cpu[0].top, cpu_off, p) == LOCAL_DONE))
		return true;
	cache_free_slow(cache_at(cpu_off), p);
	return true;
}

#endif
