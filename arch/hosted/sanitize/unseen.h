/*
 * unseen.h - words read and written by instructions that the compiler does not look
 * into, and so does not check: for the versions of arch/sanitize.h here.
 */
#ifndef HOSTED_SANITIZE_UNSEEN_H
#define HOSTED_SANITIZE_UNSEEN_H

#include <anyctx/types.h>

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

#endif
