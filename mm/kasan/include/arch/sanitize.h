/*
 * arch/sanitize.h (kernel-address) - free memory is poisoned in the shadow (mm/kasan/):
 * who touches it is told.
 *
 * The allocator's words in it are read and written by instructions that the compiler
 * does not look into. Any context.
 */
#ifndef ARCH_SANITIZE_H
#define ARCH_SANITIZE_H

#include "arch/hosted/sanitize/unseen.h"
#include "mm/kasan/kasan.h"

static __always_inline void sanitize_alloc(const void *p, size_t size, bool defined)
{
	(void)defined;
	kasan_unpoison(p, size);
}

static __always_inline void sanitize_free(const void *p, size_t size)
{
	kasan_poison(p, size, KASAN_FREE);
}

static __always_inline void sanitize_release(const void *p)
{
	(void)p; /* of no matter to it */
}

#endif
