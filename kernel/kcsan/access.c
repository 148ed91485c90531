/*
 * access.c - the functions that the compiler calls before each access to memory
 * (-fsanitize=thread): is somebody watching it, and is it to be watched?
 *
 * The names and arguments are the compiler's. A volatile access (READ_ONCE, WRITE_ONCE)
 * has functions of its own; atomic ones are in atomic.c.
 */
#include "kernel/kcsan/access.h"

/* One function for each kind and size, as the compiler wants them. */
#define ACCESS(name, size, how) \
	void __tsan_##name(void *p); \
	void __tsan_##name(void *p) \
	{ \
		access_check(p, size, how); \
	}

#define ACCESSES(size) \
	ACCESS(read##size, size, 0) \
	ACCESS(write##size, size, ACCESS_WRITE) \
	ACCESS(unaligned_read##size, size, 0) \
	ACCESS(unaligned_write##size, size, ACCESS_WRITE) \
	ACCESS(volatile_read##size, size, ACCESS_MARKED) \
	ACCESS(volatile_write##size, size, ACCESS_MARKED | ACCESS_WRITE) \
	ACCESS(unaligned_volatile_read##size, size, ACCESS_MARKED) \
	ACCESS(unaligned_volatile_write##size, size, ACCESS_MARKED | ACCESS_WRITE)

ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void *p, u64 size);
void __tsan_write_range(void *p, u64 size);
void __tsan_init(void);

void __tsan_read_range(void *p, u64 size)
{
	access_check(p, size, 0);
}

void __tsan_write_range(void *p, u64 size)
{
	access_check(p, size, ACCESS_WRITE);
}

/* A constructor of each file would call it; nobody runs those here. */
void __tsan_init(void)
{
}
