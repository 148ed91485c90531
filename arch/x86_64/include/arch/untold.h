/*
 * arch/untold.h - for where nobody watches, or a checker of order that need not know whose
 * memory is whose: part of their arch/sanitize.h. None of this is code. Any context.
 */
#ifndef ARCH_UNTOLD_H
#define ARCH_UNTOLD_H

#include <anyctx/types.h>

/* size bytes at p are the caller's from now on; defined: with what is in there. */
static __always_inline void sanitize_alloc(const void *p, size_t size, bool defined)
{
	(void)p;
	(void)size;
	(void)defined;
}

/* They are nobody's. To be told before anybody can get them. */
static __always_inline void sanitize_free(const void *p, size_t size)
{
	(void)p;
	(void)size;
}

#endif
