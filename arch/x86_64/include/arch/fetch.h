/*
 * arch/fetch.h - have the processor fetch what will be needed soon: n places, stride
 * bytes apart. Nothing here: the kernel runs in emulators, which have no caches and
 * would only count the instructions. Hosted it is worth a third of a free from another
 * CPU (docs/benchmarks.md). Any context, any address.
 */
#ifndef ARCH_FETCH_H
#define ARCH_FETCH_H

#include <anyctx/types.h>

static __always_inline void arch_fetch_run(const void *first, u64 stride, u64 n)
{
	(void)first;
	(void)stride;
	(void)n;
}

#endif
