/*
 * arch/sanitize.h (AddressSanitizer) - free memory is poisoned: who touches it is told.
 *
 * The allocator's words in it are read and written by instructions that the compiler
 * does not look into.
 */
#ifndef ARCH_SANITIZE_H
#define ARCH_SANITIZE_H

#include "arch/hosted/sanitize/unseen.h"

void __asan_poison_memory_region(const volatile void *p, size_t size);
void __asan_unpoison_memory_region(const volatile void *p, size_t size);

static __always_inline void sanitize_alloc(const void *p, size_t size, bool defined)
{
	(void)defined;
	__asan_unpoison_memory_region(p, size);
}

static __always_inline void sanitize_free(const void *p, size_t size)
{
	__asan_poison_memory_region(p, size);
}

static __always_inline void sanitize_release(const void *p)
{
	(void)p; /* of no matter to it */
}

#endif
