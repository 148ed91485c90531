/*
 * arch/sanitize.h (Valgrind) - memory that is free, or new, is undefined: who decides
 * by what is in there is told.
 *
 * It stays accessible, as Valgrind sees every instruction, also those by which the
 * allocator keeps its own words there; who touches free memory is AddressSanitizer's to
 * find. A word that may be another's by now is taken for defined: what comes of it
 * counts only if nothing has changed meanwhile.
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
	VALGRIND_MAKE_MEM_UNDEFINED(p, size);
}

static inline u32 sanitize_read32(const u32 *p)
{
	u32 v = READ_ONCE(*p);

	VALGRIND_MAKE_MEM_DEFINED(&v, sizeof(v));
	return v;
}

static inline bool sanitize_equal32(const u32 *p, u32 v)
{
	return sanitize_read32(p) == v;
}

static inline void sanitize_write32(u32 *p, u32 v)
{
	WRITE_ONCE(*p, v);
}

static inline void sanitize_release(const void *p)
{
	(void)p; /* it runs one thread at a time */
}

#endif
