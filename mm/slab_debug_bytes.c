/*
 * slab_debug_bytes.c - filling and comparing the memory that a debugged cache watches:
 * red zones and free objects. Who calls has the object to himself. Any context.
 *
 * Compiled without sanitizers, which take such memory for out of bounds.
 */
#include "mm/slab_debug.h"

void debug_fill(void *p, u8 byte, size_t n)
{
	u64 fill = byte * 0x0101010101010101UL;
	size_t words = n / 8, bytes = n % 8;

	__asm__ volatile("rep stosq" : "+D"(p), "+c"(words) : "a"(fill) : "memory");
	__asm__ volatile("rep stosb" : "+D"(p), "+c"(bytes) : "a"(fill) : "memory");
}

/* Equal ones pass eight at a time. */
static const u8 *first_other(const u8 *p, const u8 *end, u8 byte)
{
	u64 fill = byte * 0x0101010101010101UL;

	while ((u64)p & 7 && p < end && *p == byte)
		p++;
	if (!((u64)p & 7))
		while (end - p >= 8 && READ_ONCE(*(const u64 *)p) == fill)
			p += 8;
	while (p < end && *p == byte)
		p++;
	return p;
}

bool debug_same(const void *p, u8 byte, size_t n, const u8 **first, size_t *length)
{
	const u8 *end = (const u8 *)p + n, *at = first_other(p, end, byte);

	if (at == end)
		return true;
	while (end[-1] == byte)
		end--;
	*first = at;
	*length = (size_t)(end - at);
	return false;
}

u32 debug_claim(u32 *mark, u32 to)
{
	u32 was = 0;

	__asm__ volatile("lock cmpxchgl %2, %1" : "+a"(was), "+m"(*mark) : "r"(to) : "memory", "cc");
	return was;
}
