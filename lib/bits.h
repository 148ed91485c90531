/*
 * bits.h - bit operations that the compiler would call a library for.
 */
#ifndef LIB_BITS_H
#define LIB_BITS_H

#include <anyctx/types.h>

/* How many ones. */
static inline unsigned int popcount32(u32 v)
{
	v -= v >> 1 & 0x55555555;
	v = (v & 0x33333333) + (v >> 2 & 0x33333333);
	v = (v + (v >> 4)) & 0x0f0f0f0f;
	return v * 0x01010101 >> 24;
}

static inline unsigned int popcount64(u64 v)
{
	return popcount32((u32)v) + popcount32((u32)(v >> 32));
}

#endif
