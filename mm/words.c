/*
 * words.c - the free map: taking and giving back pages, lock-free.
 *
 * Invariant: a page is free exactly when its bit is 1 in its word, read with
 * the word's tag resolved (below), or its line is free as a whole. Up to 32 pages
 * change hands by one compare-and-swap on one word; a line that is handed out as
 * a whole by one on the line's word (lines.c). Other runs are whole words, and
 * change hands together:
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

enum { IDLE, UNDECIDED, SUCCESS, FAILED };

/* Of the attempt under way on each CPU. status: sequence << 2 | state; any
 * CPU may fail it, so every change of status is a locked one. words: which,
 * first << 8 | n, for the CPU itself only. */
struct hold {
	u64 status;
	u64 words;
} __aligned(64);

static struct hold holds[NR_CPUS];

static u64 make_tag(u64 cpu, u64 seq)
{
	return word_tag(cpu + 1, seq);
}

/* The state of the attempt that a held word belongs to. */
static unsigned int hold_state(u64 word, u64 **status, u64 *seen)
{
	struct hold *h = &holds[TAG_OWNER(word) - 1];

	*status = &h->status;
	*seen = load(&h->status);
	if (((*seen >> 2) & TAG_SEQ_MASK) != TAG_SEQ(word))
		return FAILED;
	return *seen & 3;
}

/*
 * The word without a tag, as far as that may be had: decided holds are cleaned
 * up, undecided ones undone if force, words of a line that was split set free. A
 * word that is still tagged on return is one to pass by.
 */
static u64 word_resolve(u64 w, bool force)
{
	u64 v, seen, *status;

	while ((v = load(&free_words[w])) >> 32) {
		unsigned int state;

		if (TAG_OWNER(v) == TAG_WHOLE) {
			if (!line_word_free(w, v))
				return v;
			cas(&free_words[w], v, WORD_FULL);
			continue;
		}
		state = hold_state(v, &status, &seen);
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

bool words_open_on(unsigned int cpu)
{
	u64 state = load(&holds[cpu].status) & 3;

	return state == UNDECIDED || state == SUCCESS;
}

u32 word_peek(u64 w)
{
	u64 seen, *status, v = load(&free_words[w]);

	if (!(v >> 32))
		return (u32)v;
	if (TAG_OWNER(v) == TAG_WHOLE)
		return line_word_free(w, v) ? (u32)WORD_FULL : 0;
	return hold_state(v, &status, &seen) == SUCCESS ? 0 : (u32)v;
}

bool words_look_full(u64 first, u64 n)
{
	for (u64 w = first; w < first + n; w++)
		if (word_peek(w) != WORD_FULL)
			return false;
	return true;
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
		if (cas(&free_words[w], v, v & ~((u64)run_mask(order) << bit)))
			return bit;
	}
}

u32 word_take_all(u64 w, unsigned int order)
{
	for (;;) {
		u64 v = load(&free_words[w]);

		if (unlikely(v >> 32))
			v = word_resolve(w, false);
		if (v >> 32 || find_run((u32)v, order) < 0)
			return 0;
		if (cas(&free_words[w], v, 0))
			return (u32)v;
	}
}

/* The map says that these pages are free: the hints follow. */
static void give_hints(u64 w, bool full)
{
	u64 line = w / LINE_WORDS;

	hint_set(HINT_ANY, line);
	if (!full)
		return;
	hint_set(HINT_WORD, line);
	if (words_look_full(line * LINE_WORDS, LINE_WORDS))
		hint_set(HINT_LINE, line);
}

/* The hints are the caller's. *full: the word is wholly free now. */
static bool give_bits(u64 w, u32 mask, bool *full)
{
	for (;;) {
		u64 v = load(&free_words[w]);

		if (v >> 32) {
			/* Free, or of a whole line, unless a hold is committed and not yet cleaned. */
			if (TAG_OWNER(v) == TAG_WHOLE || word_peek(w))
				return false;
			word_resolve(w, false);
			continue;
		}
		if (v & mask)
			return false;
		if (!cas(&free_words[w], v, v | mask))
			continue;
		*full = (v | mask) == WORD_FULL;
		return true;
	}
}

bool word_give(u64 w, u32 mask)
{
	bool ok, full;

	hint_begin();
	ok = give_bits(w, mask, &full);
	if (ok)
		give_hints(w, full);
	hint_end();
	return ok;
}

bool words_give(u64 w, u64 n)
{
	bool ok = true, full;

	hint_begin();
	for (u64 i = 0; i < n; i++)
		ok &= give_bits(w + i, (u32)WORD_FULL, &full);
	for (u64 i = 0; i < n; i += LINE_WORDS)
		give_hints(w + i, true);
	hint_end();
	return ok;
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
			clean(h->words >> 8, h->words & 0xff, make_tag(cpu, st >> 2));
		/* A nested attempt in between changes the status: then once more. */
		WRITE_ONCE(h->words, first << 8 | n);
		if (cas(&h->status, st, ((st >> 2) + 1) << 2 | UNDECIDED))
			return ((st >> 2) + 1) << 2 | UNDECIDED;
	}
}

/* Two callers that keep undoing one another end by chance long before this. */
#define FORCED_TRIES 1000

bool words_take(u64 first, u64 n, bool force)
{
	u64 cpu = smp_processor_id(), i, st, tag;
	struct hold *h = &holds[cpu];
	unsigned int tries = force ? FORCED_TRIES : 1;

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
		mm_point();
	} while (--tries && (i == n || words_look_full(first, n)));
	return false;
}
