/*
 * random.h - small, fast, repeatable random numbers for tests and the main job;
 * not for secrets. One struct rng is used by one context at a time.
 */
#ifndef LIB_RANDOM_H
#define LIB_RANDOM_H

#include <anyctx/types.h>

struct rng {
	u64 state; /* never 0 */
};

/* Equal seeds give equal sequences; any seed will do. */
void rng_init(struct rng *r, u64 seed);
u64 rng_next(struct rng *r);
/* 0 to n - 1; n is not 0. */
u64 rng_below(struct rng *r, u64 n);

#endif
