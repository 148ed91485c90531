/*
 * arch/sanitize.h (Valgrind) - free memory is not accessible, and new memory is not
 * defined: who touches the one, or decides by the other, is told.
 *
 * Valgrind sees every instruction; while the allocator reads and writes its own words
 * in free memory it is asked to look away. What was read is defined by that.
 */
#ifndef ARCH_SANITIZE_H
#define ARCH_SANITIZE_H

#include <anyctx/types.h>
#include <valgrind/memcheck.h>

static inline void sanitize_alloc(const void *p, size_t size, bool defined)
{
	if (defined)
		VALGRIND_MAKE_MEM_DEFINED(p, size);
	else
		VALGRIND_MAKE_MEM_UNDEFINED(p, size);
}

static inline void sanitize_free(const void *p, size_t size)
{
	VALGRIND_MAKE_MEM_NOACCESS(p, size);
}

static inline u32 sanitize_read32(const u32 *p)
{
	u32 v;

	VALGRIND_DISABLE_ERROR_REPORTING;
	v = READ_ONCE(*p);
	VALGRIND_ENABLE_ERROR_REPORTING;
	VALGRIND_MAKE_MEM_DEFINED(&v, sizeof(v));
	return v;
}

static inline bool sanitize_equal32(const u32 *p, u32 v)
{
	return sanitize_read32(p) == v;
}

static inline void sanitize_write32(u32 *p, u32 v)
{
	VALGRIND_DISABLE_ERROR_REPORTING;
	WRITE_ONCE(*p, v);
	VALGRIND_ENABLE_ERROR_REPORTING;
}

static __always_inline void sanitize_release(const void *p)
{
	(void)p; /* it runs one thread at a time */
}

#endif
