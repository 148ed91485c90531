/*
 * arch/sanitize.h (race detector) - what it must not look at.
 *
 * The link of a free object is read while the object may become another's: what was
 * read counts only if the slab's state has not changed meanwhile. That is a race by
 * design, so these words are read and written by instructions that the compiler does not
 * look into, as for ThreadSanitizer in the process.
 */
#ifndef ARCH_SANITIZE_H
#define ARCH_SANITIZE_H

#include <arch/untold.h>
#include "arch/hosted/sanitize/unseen.h"

/* Order is none of its business: it sees accesses that meet in time. */
static __always_inline void sanitize_release(const void *p)
{
	(void)p;
}

#endif
