/*
 * arch/descriptor.h - reading from the descriptor of whatever page a pointer may
 * mean, for the free that must be quick and yet take any pointer at all.
 *
 * The frame number of a pointer that is not into the direct map is so large, and at
 * most 52 bits long, that its descriptor would lie in the lower half of the address
 * space, where nothing is mapped, or not at a canonical address. So there is no
 * comparison: the load faults, and goes on elsewhere by the exception table. Frames
 * above the highest, and in the top 2 GiB, have no descriptors mapped either.
 */
#ifndef ARCH_DESCRIPTOR_H
#define ARCH_DESCRIPTOR_H

#include <arch/local.h>

/* The 16-bit field of the pfn-th descriptor, where field is the first one's and a
 * descriptor has 24 bytes. false: there is no such page. end: one past the highest. */
static __always_inline bool descriptor_read16(const u16 *field, u64 pfn, u64 end, u64 *out)
{
	u64 v;

	(void)end;
	__asm__ goto volatile(
		"1:\n\t"
		"movzwl %c[field](, %[index], 8), %k[v]\n\t"
		".pushsection extable, \"a\"\n\t"
		".balign 8\n\t"
		".quad 1b, %l[none]\n\t"
		".popsection\n\t"
		: [v] "=r"(v)
		: [field] "i"(field), [index] "r"(pfn * 3)
		: "memory" : none);
	after_sequence();
	*out = v;
	return true;
none:
	after_sequence();
	return false;
}

#endif
