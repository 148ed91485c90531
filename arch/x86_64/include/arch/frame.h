/*
 * arch/frame.h - what is known of the frame of a pointer, for the free that must be
 * quick and yet take any pointer at all.
 *
 * FRAME_CACHE_BASE is so chosen that the two bytes of a pointer's frame are at twice the
 * pointer's frame number, taken with its sign: a shift, and no subtraction or comparison.
 * Of a pointer that is not into the direct map that is nothing mapped, mostly: the load
 * faults, and goes on elsewhere by the exception table. What it finds else (where the kernel's
 * image, descriptors or direct map are in the place of those bytes) are pointers to which
 * nothing is mapped themselves, or that are not canonical: so who goes by the answer next reads
 * what the pointer points to, by sanitize_equal32, which tells that.
 */
#ifndef ARCH_FRAME_H
#define ARCH_FRAME_H

#include <arch/layout.h>
#include <arch/local.h>

_Static_assert((s64)FRAME_CACHE_BASE == ((s64)DIRECT_MAP_BASE >> PAGE_SHIFT) * 2, "see above");

/* *frame_cache() of p's frame. false: there is no such frame. end: one past the highest. */
static __always_inline bool frame_cache_of(const void *p, u64 end, u64 *out)
{
	u64 v;

	(void)end;
	__asm__ goto volatile(
		"1:\n\t"
		"movzwl (, %[index], 2), %k[v]\n\t"
		".pushsection extable, \"a\"\n\t"
		".balign 8\n\t"
		".quad 1b, %l[none]\n\t"
		".popsection\n\t"
		: [v] "=r"(v)
		: [index] "r"((s64)p >> PAGE_SHIFT)
		: "memory" : none);
	after_sequence();
	*out = v;
	return true;
none:
	after_sequence();
	return false;
}

#endif
