/*
 * pattern.h - contents that depend on where they are and how large the block is: two
 * blocks that overlap cannot both be right. Any context.
 */
#ifndef TESTS_PATTERN_H
#define TESTS_PATTERN_H

#include <anyctx/types.h>

/* A block may begin at any address. */
typedef u64 u64_anywhere __aligned(1);

static inline u64 pattern_word(const void *p, size_t size, size_t at)
{
	return ((u64)p + (size << 20) + at) * 0x9e3779b97f4a7c15UL;
}

static inline void pattern_fill(void *p, size_t size)
{
	size_t i = 0;

	for (; i + 8 <= size; i += 8)
		*(u64_anywhere *)((char *)p + i) = pattern_word(p, size, i);
	for (; i < size; i++)
		((char *)p)[i] = (char)(pattern_word(p, size, i) >> 56);
}

static inline bool pattern_ok(const void *p, size_t size)
{
	size_t i = 0;

	for (; i + 8 <= size; i += 8)
		if (*(const u64_anywhere *)((const char *)p + i) != pattern_word(p, size, i))
			return false;
	for (; i < size; i++)
		if (((const char *)p)[i] != (char)(pattern_word(p, size, i) >> 56))
			return false;
	return true;
}

#endif
