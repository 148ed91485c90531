/*
 * random.c - Marsaglia's xorshift, finished by a multiplication (xorshift64*).
 * Any context, as long as each struct rng has one user at a time.
 */
#include "lib/random.h"

void rng_init(struct rng *r, u64 seed)
{
	/* One step of splitmix64: near seeds give far sequences. */
	seed += 0x9e3779b97f4a7c15UL;
	seed = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9UL;
	seed = (seed ^ seed >> 27) * 0x94d049bb133111ebUL;
	r->state = (seed ^ seed >> 31) | 1;
}

u64 rng_next(struct rng *r)
{
	u64 x = r->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return x * 0x2545f4914f6cdd1dUL;
}

u64 rng_below(struct rng *r, u64 n)
{
	return (rng_next(r) >> 11) % n;
}
