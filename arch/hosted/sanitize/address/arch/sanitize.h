/*
 * arch/sanitize.h (AddressSanitizer) - free memory is poisoned: who touches it is told.
 *
 * The allocator's words in it are read and written by instructions that the compiler
 * does not look into.
 */
#ifndef ARCH_SANITIZE_H
#define ARCH_SANITIZE_H

#include <anyctx/types.h>

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

static __always_inline u32 sanitize_read32(const u32 *p)
{
	u32 v;

	__asm__ volatile("movl %1, %0" : "=r"(v) : "m"(*p));
	return v;
}

static __always_inline bool sanitize_equal32(const u32 *p, u32 v)
{
	return sanitize_read32(p) == v;
}

static __always_inline void sanitize_write32(u32 *p, u32 v)
{
	__asm__ volatile("movl %1, %0" : "=m"(*p) : "r"(v));
}

/* All before it is seen by who loads *p, by acquire, after the next change of *p: for
 * an order that hangs on a fence, or on an instruction that is not seen. */
static __always_inline void sanitize_release(const void *p)
{
	(void)p;
}

#endif
