/*
 * arch/frame.h (hosted) - what is known of the frame of a pointer that may be any. In a
 * process anything may be mapped anywhere, so the frame is compared.
 */
#ifndef ARCH_FRAME_H
#define ARCH_FRAME_H

#include <anyctx/types.h>
#include <arch/layout.h>

/* *frame_cache() of p's frame. false: there is no such frame. end: one past the highest. */
static __always_inline bool frame_cache_of(const void *p, u64 end, u64 *out)
{
	u64 pfn = ((u64)p - DIRECT_MAP_BASE) >> PAGE_SHIFT;

	if (pfn >= end)
		return false;
	*out = READ_ONCE(((const u16 *)FRAME_CACHE_BASE)[pfn]);
	return true;
}

#endif
