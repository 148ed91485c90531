/*
 * private.h - what the files of mm/kasan/ share among themselves: the regions of memory
 * that have a shadow, and writing to it.
 */
#ifndef MM_KASAN_PRIVATE_H
#define MM_KASAN_PRIVATE_H

#include "mm/kasan/kasan.h"

enum kasan_region_nr { KASAN_DIRECT, KASAN_IMAGE, KASAN_STACKS, NR_KASAN_REGIONS };

/* size 0: no shadow yet. */
struct kasan_region {
	u64 base, size;
};
extern struct kasan_region kasan_regions[NR_KASAN_REGIONS];

static __always_inline bool region_of(u64 addr)
{
	for (int r = 0; r < NR_KASAN_REGIONS; r++)
		if (addr - kasan_regions[r].base < kasan_regions[r].size)
			return true;
	return false;
}

/* By words where they are whole; the compiler is not to make calls of it. */
static __always_inline void shadow_fill(u8 *from, u8 *end, u8 value)
{
	u64 n = (u64)(end - from), words = n / 8, bytes = n % 8;

	__asm__ volatile("rep stosq" : "+D"(from), "+c"(words) : "a"(value * 0x0101010101010101UL) : "memory");
	__asm__ volatile("rep stosb" : "+D"(from), "+c"(bytes) : "a"(value) : "memory");
}

static __always_inline void shadow_poison(const void *p, size_t size, enum kasan_code code)
{
	shadow_fill(kasan_shadow((u64)p), kasan_shadow((u64)p + size + KASAN_GRANULE - 1), (u8)code);
}

static __always_inline void shadow_unpoison(const void *p, size_t size)
{
	u64 end = (u64)p + size;

	shadow_fill(kasan_shadow((u64)p), kasan_shadow(end), 0);
	if (end % KASAN_GRANULE)
		*kasan_shadow(end) = (u8)(end % KASAN_GRANULE);
}

/* lib/string.c, under the names that it has in this build: not checked. */
void *__memset(void *d, int c, size_t n);
void *__memcpy(void *d, const void *s, size_t n);

#endif
