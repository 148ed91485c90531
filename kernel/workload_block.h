/*
 * workload_block.h - the blocks of the main job: what is asked for, by which call,
 * and what is in it.
 */
#ifndef KERNEL_WORKLOAD_BLOCK_H
#define KERNEL_WORKLOAD_BLOCK_H

#include <anyctx/gfp.h>
#include "lib/random.h"

enum block_kind {
	BLOCK_KMALLOC,
	BLOCK_ZEROED, /* kzalloc, or __GFP_ZERO */
	BLOCK_CACHE,  /* an object of a cache with a constructor */
	BLOCK_PAGES,
};

struct block {
	void *addr;
	size_t size;
	enum block_kind kind;
	unsigned int cpu, ctx; /* who filled it */
};

/* Which call: one of those that may be made anywhere, or not; with which flags. */
struct block_call {
	bool nolock;
	gfp_t gfp;
};

/* A block in one word that is never 0, for one exchange to hand it over. */
u64 block_pack(const struct block *b);
struct block block_unpack(u64 word);

/* Thread context: make and destroy the caches; false: reported. */
bool block_caches_create(void);
bool block_caches_destroy(void);

/* Any context from here on. Choose kind and size. */
void block_choose(struct block *b, struct rng *r);
/* Bytes of memory that it takes, without what the allocator adds. */
u64 block_charge(const struct block *b);
/* Only the call itself: sets addr. */
void block_alloc(struct block *b, struct block_call call);
/* Check alignment, and zeros or constructed state; then fill it. false: the address
 * is none that can be used. */
bool block_fill(const struct block *b);
/* Check what block_fill wrote, and spoil it, or bring back the constructed state. */
void block_check(const struct block *b);
/* Only the call itself, one of those that fit; r chooses. */
void block_free(const struct block *b, struct block_call call, struct rng *r);

/* What the checks found wrong since boot; each is reported, up to a number. */
u64 block_errors(void);

#endif
