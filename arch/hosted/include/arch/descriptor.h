/*
 * arch/descriptor.h (hosted) - reading from the descriptor of whatever page a pointer
 * may mean. In a process anything may be mapped anywhere, so the frame is compared.
 */
#ifndef ARCH_DESCRIPTOR_H
#define ARCH_DESCRIPTOR_H

#include <anyctx/types.h>

/* The 16-bit field of the pfn-th descriptor, where field is the first one's and a
 * descriptor has 24 bytes. false: there is no such page. end: one past the highest. */
static __always_inline bool descriptor_read16(const u16 *field, u64 pfn, u64 end, u64 *out)
{
	if (pfn >= end)
		return false;
	*out = *(const u16 *)((const char *)field + pfn * 24);
	return true;
}

#endif
