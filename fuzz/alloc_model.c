/*
 * alloc_model.c - the model: which blocks are in use, and what is in them.
 *
 * Invariant: owned[] has a bit for each 8 bytes of memory, and it is set exactly if they
 * belong to a block of blocks[0..nr_blocks). A block is removed before the call that frees
 * it and added after the one that has allocated it: so what a call that comes in
 * between gets may be the one, but never the other. Any context, one at a time.
 *
 * Of a large block only some words are filled and looked at: one in 64 bytes, and the last.
 */
#include "fuzz/alloc.h"
#include <arch/machine.h>

#define GRAIN 8
#define ALL_BELOW 8192 /* bytes: a larger block is sampled */
#define SAMPLE 64

struct block blocks[MAX_BLOCKS];
unsigned int nr_blocks;
static u64 owned[ALLOC_MEM / GRAIN / 64];

/* ---- who has what ---- */

static u64 grain_of(const void *p)
{
	u64 pa = virt_to_phys(p);

	if (pa >= ALLOC_MEM)
		fuzz_fail("%lx is not memory", (u64)p);
	return pa / GRAIN;
}

/* The bits of grains first..end that are in the word of first. */
static u64 bits(u64 first, u64 end)
{
	u64 mask = ~0UL << (first & 63);

	return end >> 6 == first >> 6 ? mask & ((1UL << (end & 63)) - 1) : mask;
}

static void own(const struct block *b, bool on)
{
	u64 first = grain_of(b->p), end = first + (b->usable + GRAIN - 1) / GRAIN;

	if (end > ALLOC_MEM / GRAIN)
		fuzz_fail("%lx, %lu bytes: goes beyond memory", (u64)b->p, b->usable);
	for (; first < end; first = (first | 63) + 1) {
		u64 mask = bits(first, end);

		if ((owned[first >> 6] & mask) != (on ? 0 : mask))
			fuzz_fail("%lx, %lu bytes: overlaps another block, near %lx", (u64)b->p, b->usable,
				  (u64)phys_to_virt(first * GRAIN));
		owned[first >> 6] ^= mask;
	}
}

bool block_owns(const void *p)
{
	u64 g = grain_of(p);

	return owned[g >> 6] >> (g & 63) & 1;
}

void block_add(struct block b)
{
	FUZZ_CHECK(nr_blocks < MAX_BLOCKS);
	own(&b, true);
	blocks[nr_blocks++] = b;
}

struct block block_remove(unsigned int i)
{
	struct block b = blocks[i];

	own(&b, false);
	blocks[i] = blocks[--nr_blocks];
	return b;
}

/* ---- what is in it ---- */

static u64 step_of(const struct block *b)
{
	return b->usable > ALL_BELOW ? SAMPLE : 8;
}

static u64 word_at(const struct block *b, u64 at)
{
	return (b->seed + at) * 0x9e3779b97f4a7c15UL | 1UL << 63;
}

static u8 tail_at(const struct block *b, u64 at)
{
	return (u8)(b->seed + at) | 1;
}

void block_fill(const struct block *b)
{
	u64 at = 0, step = step_of(b);

	for (; at + 8 <= b->usable; at += step)
		*(u64 *)(b->p + at) = word_at(b, at);
	for (at = b->usable & ~7UL; at < b->usable; at++)
		b->p[at] = tail_at(b, at);
	if (step != 8)
		*(u64 *)(b->p + b->usable - 8) = word_at(b, b->usable - 8);
}

static void __noreturn wrong(const struct block *b, u64 at, const char *what)
{
	fuzz_fail("block at %lx, %lu bytes, kind %u: byte %lu is 0x%x: %s", (u64)b->p, b->usable, b->kind, at,
		  b->p[at], what);
}

void block_check(const struct block *b, u64 n)
{
	u64 at = 0, step = step_of(b);

	for (; at + 8 <= n; at += step)
		if (*(u64 *)(b->p + at) != word_at(b, at))
			wrong(b, at, "its contents have changed");
	if (n < b->usable)
		return;
	for (at = b->usable & ~7UL; at < b->usable; at++)
		if (b->p[at] != tail_at(b, at))
			wrong(b, at, "its contents have changed");
	if (step != 8 && *(u64 *)(b->p + n - 8) != word_at(b, n - 8))
		wrong(b, n - 8, "its contents have changed");
}

void block_check_zero(const struct block *b, u64 from, u64 end)
{
	u64 step = end - from > ALL_BELOW ? SAMPLE : 8, at = from;

	for (; at < end && at & 7; at++)
		if (b->p[at])
			wrong(b, at, "it is not zero");
	if (step == SAMPLE)
		at = (at + SAMPLE - 1) & ~(SAMPLE - 1UL);
	for (; at + 8 <= end; at += step)
		if (*(u64 *)(b->p + at))
			wrong(b, at, "it is not zero");
	for (at = end & ~7UL; at >= from && at < end; at++)
		if (b->p[at])
			wrong(b, at, "it is not zero");
}
