/*
 * arch/fetch.h (hosted) - have the processor fetch what will be needed soon: n places,
 * stride bytes apart. Another CPU may have written them last, and then one after the
 * other takes as long as the way between the two each time, all together little longer
 * than one. To read: a place may be another's after all. Any context, any address.
 */
#ifndef ARCH_FETCH_H
#define ARCH_FETCH_H

#include <anyctx/types.h>

static __always_inline void arch_fetch_run(const void *first, u64 stride, u64 n)
{
	for (const char *p = first; n; n--, p += stride)
		__asm__ volatile("prefetcht0 (%0)" : : "r"(p));
}

#endif
