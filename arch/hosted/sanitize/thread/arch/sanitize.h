/*
 * arch/sanitize.h (ThreadSanitizer) - what it must not look at.
 *
 * The link of a free object is read while the object may become another's: what was
 * read counts only if the slab's state has not changed meanwhile. That is a race by
 * design, so these words are read and written by instructions that the compiler does
 * not look into.
 */
#ifndef ARCH_SANITIZE_H
#define ARCH_SANITIZE_H

#include <arch/untold.h>
#include "arch/hosted/sanitize/unseen.h"

void __tsan_release(void *p);

/* It knows neither fences nor the per-CPU instructions. */
static __always_inline void sanitize_release(const void *p)
{
	__tsan_release((void *)p);
}

#endif
