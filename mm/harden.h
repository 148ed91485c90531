/*
 * harden.h - what CONFIG=hardened adds: links of free objects that nobody can guess, and
 * memory that is zeroed as it is handed out, or as it comes back. Any context.
 *
 * init_on_alloc and init_on_free are kernel arguments of that build, set before the
 * allocator starts and never after. Without CONFIG_HARDENED none of this is code.
 */
#ifndef MM_HARDEN_H
#define MM_HARDEN_H

#include "lib/random.h"
#include "lib/string.h"
#include <anyctx/config.h>

extern s64 init_on_alloc, init_on_free;

/* What the link in obj is encoded with: the cache's secret, and where the link lies, so that
 * one copied from another object is not right either. Swapped, so that the bits in which
 * objects of a slab differ are those which no index has. */
static __always_inline u32 link_key(u32 secret, const void *obj)
{
	return CONFIG_HARDENED ? secret ^ __builtin_bswap32((u32)(u64)obj) : 0;
}

/* Before who allocated it sees it. */
static __always_inline void init_taken(void *p, size_t size)
{
	if (CONFIG_HARDENED && init_on_alloc)
		memset(p, 0, size);
}

/* While it is still the caller's. */
static __always_inline void init_given(void *p, size_t size)
{
	if (CONFIG_HARDENED && init_on_free)
		memset(p, 0, size);
}

/* For one shuffle: other numbers each time, in whatever context. */
void harden_rng(struct rng *r, u32 secret);

#endif
