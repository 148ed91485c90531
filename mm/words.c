/*
 * words.c - the free map: taking and giving back pages, lock-free.
 *
 * Invariant: a page is free exactly when its bit is 1 in its word, read with
 * the word's hold resolved (below). Up to 32 pages change hands by one compare-
 * and-swap on one word. Larger runs are whole words, and change hands together:
 *
 *	1. each word {all free, no tag} -> {all free, tag}     (held)
 *	2. status of the tag's CPU: UNDECIDED -> SUCCESS       (the commit)
 *	3. each word {all free, tag} -> {none free, no tag}    (cleaned)
 *
 * A held page is still free: anyone who needs it sets the status to FAILED,
 * and takes the word. After the commit the pages are taken, whoever cleans up.
 * A tag whose sequence is not the status's belongs to an attempt that was given
 * up: an attempt that succeeded is cleaned up before its sequence ends.
 *
 * All functions: any context, any CPU. A caller that interrupts an attempt of
 * its own CPU fails it (or, after the commit, finishes it) and goes ahead.
 */
#include "mm/internal.h"
#include <anyctx/smp.h>

enum { IDLE, UNDECIDED, SUCCESS, FAILED };

/* Of the attempt under way on each CPU. status: sequence << 2 | state; any
 * CPU may fail it, so every change of status is a locked one. first and n are
 * for the CPU itself only. */
struct hold {
	u64 status;
	u64 first, n;
} __aligned(64);

static struct hold holds[NR_CPUS];

#define SEQ_BITS 25
#define SEQ_MASK ((1UL << SEQ_BITS) - 1)

static bool cas(u64 *p, u64 old, u64 new)
{
	return __atomic_compare_exchange_n(p, &old, new, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_SEQ_CST);
}

static u64 load(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static u64 make_tag(u64 cpu, u64 seq)
{
	return ((cpu + 1) << SEQ_BITS | (seq & SEQ_MASK)) << 32;
}

/* The state of the attempt that a tagged word belongs to. */
static unsigned int tag_state(u64 word, u64 **status, u64 *seen)
{
	u64 tag = word >> 32;
	struct hold *h = &holds[(tag >> SEQ_BITS) - 1];

	*status = &h->status;
	*seen = load(&h->status);
	if (((*seen >> 2) & SEQ_MASK) != (tag & SEQ_MASK))
		return FAILED;
	return *seen & 3;
}

/*
 * The word without a tag, as far as that may be had: decided holds are cleaned
 * up, undecided ones undone if force. A word that is still tagged on return is
 * one to pass by.
 */
static u64 word_resolve(u64 w, bool force)
{
	u64 v, seen, *status;

	while ((v = load(&free_words[w])) >> 32) {
		unsigned int state = tag_state(v, &status, &seen);

		if (state == UNDECIDED) {
			if (!force)
				return v;
			cas(status, seen, (seen & ~3UL) | FAILED);
			continue;
		}
		cas(&free_words[w], v, state == SUCCESS ? 0 : WORD_FULL);
	}
	return v;
}

u32 word_peek(u64 w)
{
	u64 seen, *status, v = load(&free_words[w]);

	if (v >> 32 && tag_state(v, &status, &seen) == SUCCESS)
		return 0;
	return (u32)v;
}

/* The first aligned run of 2^order ones in map, or -1. */
static int find_run(u32 map, unsigned int order)
{
	static const u32 aligned[] = { 0xffffffff, 0x55555555, 0x11111111,
				       0x01010101, 0x00010001, 0x00000001 };

	for (unsigned int k = 0; k < order; k++)
		map &= map >> (1u << k) & aligned[k + 1];
	return map ? __builtin_ctz(map) : -1;
}

static u64 run_mask(unsigned int order)
{
	return order == WORD_SHIFT ? WORD_FULL : (1UL << (1u << order)) - 1;
}

int word_take(u64 w, unsigned int order, bool force)
{
	for (;;) {
		u64 v = word_resolve(w, force);
		int bit;

		if (v >> 32)
			return -1;
		bit = find_run((u32)v, order);
		if (bit < 0)
			return -1;
		if (cas(&free_words[w], v, v & ~(run_mask(order) << bit)))
			return bit;
	}
}

u32 word_take_all(u64 w, bool force)
{
	for (;;) {
		u64 v = word_resolve(w, force);

		if (v >> 32 || !v)
			return 0;
		if (cas(&free_words[w], v, 0))
			return (u32)v;
	}
}

bool word_give(u64 w, u32 mask)
{
	for (;;) {
		u64 v = load(&free_words[w]);

		if (v >> 32) {
			/* Held means wholly free, unless it is committed and not yet cleaned. */
			if (word_peek(w))
				return false;
			word_resolve(w, false);
			continue;
		}
		if (v & mask)
			return false;
		if (!cas(&free_words[w], v, v | mask))
			continue;
		hint_set(hint_any, w / LINE_WORDS);
		if ((v | mask) == WORD_FULL)
			hint_set(hint_full, w / LINE_WORDS);
		return true;
	}
}

/* Step 3 of a committed attempt; harmless where it has been done. */
static void clean(u64 first, u64 n, u64 tag)
{
	for (u64 i = 0; i < n; i++)
		cas(&free_words[first + i], WORD_FULL | tag, 0);
}

/* Give up the words that the attempt holds. */
static void release(u64 first, u64 n, u64 tag)
{
	for (u64 i = 0; i < n; i++)
		cas(&free_words[first + i], WORD_FULL | tag, WORD_FULL);
}

/*
 * Begin an attempt on this CPU: settle the one that this call interrupted, if
 * any, and put a new sequence in the status. Returns the new status.
 */
static u64 attempt_begin(struct hold *h, u64 cpu, u64 first, u64 n)
{
	for (;;) {
		u64 st = load(&h->status);

		if ((st & 3) == UNDECIDED) {
			cas(&h->status, st, (st & ~3UL) | FAILED);
			continue;
		}
		if ((st & 3) == SUCCESS)
			clean(h->first, h->n, make_tag(cpu, st >> 2));
		/* A nested attempt in between changes the status: then once more. */
		WRITE_ONCE(h->first, first);
		WRITE_ONCE(h->n, n);
		if (cas(&h->status, st, ((st >> 2) + 1) << 2 | UNDECIDED))
			return ((st >> 2) + 1) << 2 | UNDECIDED;
	}
}

bool words_take(u64 first, u64 n, bool force)
{
	u64 cpu = smp_processor_id(), i, st, tag;
	struct hold *h = &holds[cpu];

	do {
		st = attempt_begin(h, cpu, first, n);
		tag = make_tag(cpu, st >> 2);
		for (i = 0; i < n; i++) {
			if (word_resolve(first + i, force) != WORD_FULL)
				break;
			if (!cas(&free_words[first + i], WORD_FULL, WORD_FULL | tag))
				break;
		}
		if (i == n && cas(&h->status, st, (st & ~3UL) | SUCCESS)) {
			clean(first, n, tag);
			cas(&h->status, (st & ~3UL) | SUCCESS, (st & ~3UL) | IDLE);
			return true;
		}
		/* Undone by another, or a word was taken: first the status, so
		 * that a hold put down late counts as given up; then the words. */
		cas(&h->status, st, (st & ~3UL) | FAILED);
		release(first, i, tag);
	} while (i == n && force);
	return false;
}

void hint_set(u64 *map, u64 line)
{
	u64 bit = 1UL << (line & 63);

	if (!(__atomic_load_n(&map[line >> 6], __ATOMIC_SEQ_CST) & bit))
		__atomic_fetch_or(&map[line >> 6], bit, __ATOMIC_SEQ_CST);
}

void hint_clear(u64 *map, u64 line)
{
	__atomic_fetch_and(&map[line >> 6], ~(1UL << (line & 63)), __ATOMIC_SEQ_CST);
}
