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

#include <anyctx/types.h>

void __tsan_release(void *p);

static __always_inline void sanitize_alloc(const void *p, size_t size, bool defined)
{
	(void)p;
	(void)size;
	(void)defined;
}

static __always_inline void sanitize_free(const void *p, size_t size)
{
	(void)p;
	(void)size;
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

/* It knows neither fences nor the per-CPU instructions. */
static __always_inline void sanitize_release(const void *p)
{
	__tsan_release((void *)p);
}

#endif
