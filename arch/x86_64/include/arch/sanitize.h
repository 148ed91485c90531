/*
 * arch/sanitize.h - what the allocator tells a checker that watches it: whose memory
 * is whose. On the machine nobody watches, and none of this is code; arch/hosted has a
 * version for each checker. Any context.
 */
#ifndef ARCH_SANITIZE_H
#define ARCH_SANITIZE_H

#include <anyctx/types.h>
#include <arch/local.h>
#include <arch/untold.h>

/* The allocator's own words in memory that is free, or may be another's by now. */
static __always_inline u32 sanitize_read32(const u32 *p)
{
	return READ_ONCE(*p);
}

/* Is it v, or is there no memory at p? In one instruction, where it counts. */
static __always_inline bool sanitize_equal32(const u32 *p, u32 v)
{
	__asm__ goto volatile(
		"1:\n\t"
		"cmpl %[v], %[at]\n\t"
		"je %l[yes]\n\t"
		".pushsection extable, \"a\"\n\t"
		".balign 8\n\t"
		".quad 1b, %l[yes]\n\t"
		".popsection\n\t"
		: : [at] "m"(*p), [v] "ri"(v) : "memory", "cc" : yes);
	after_sequence();
	return false;
yes:
	after_sequence();
	return true;
}

static __always_inline void sanitize_write32(u32 *p, u32 v)
{
	WRITE_ONCE(*p, v);
}

/* All before it is seen by who loads *p, by acquire, after the next change of *p: for
 * an order that hangs on a fence, or on an instruction that is not seen. */
static __always_inline void sanitize_release(const void *p)
{
	(void)p;
}

#endif
