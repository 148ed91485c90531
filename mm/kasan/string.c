/*
 * string.c - memset, memcpy and memmove: their ranges are checked, then it is done, by
 * lib/string.c where that uses string instructions. The other functions there, and its
 * own memmove, are checked access by access. Any context.
 */
#include "lib/string.h"
#include "mm/kasan/private.h"

static __always_inline void check(const void *p, size_t n, bool write, u64 pc)
{
	u64 addr = (u64)p;

	if (n && region_of(addr) && unlikely(kasan_first_bad(addr, n) != addr + n))
		kasan_report(addr, n, write, pc);
}

void *memset(void *d, int c, size_t n)
{
	check(d, n, true, (u64)__builtin_return_address(0));
	return __memset(d, c, n);
}

void *memcpy(void *d, const void *s, size_t n)
{
	check(s, n, false, (u64)__builtin_return_address(0));
	check(d, n, true, (u64)__builtin_return_address(0));
	return __memcpy(d, s, n);
}

void *memmove(void *d, const void *s, size_t n)
{
	volatile char *to = d;
	const volatile char *from = s;

	check(s, n, false, (u64)__builtin_return_address(0));
	check(d, n, true, (u64)__builtin_return_address(0));
	if ((u64)to - (u64)from >= n)
		return __memcpy(d, s, n);
	while (n--)
		to[n] = from[n];
	return d;
}
