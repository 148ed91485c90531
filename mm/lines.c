/*
 * lines.c - lines of 512 pages that change hands as one block of order 9; and the
 * hints that say where to look.
 *
 * Invariant: a line's word {sequence, state} is
 *
 *	SPLIT  the pages are free or not as the words below say
 *	FREE   all pages are free, as one block: its words are {whole, sequence}
 *	TAKEN  the block is its taker's, and so are the words
 *
 *	FREE -> TAKEN, TAKEN -> FREE, FREE -> SPLIT: one compare-and-swap each
 *	SPLIT -> TAKEN: words_take of all its words, then one store by the taker
 *
 * After FREE -> SPLIT a word that still has the tag of this sequence counts as
 * wholly free, and whoever meets it makes it so; so the split is done at its one
 * instruction. The sequence grows with each SPLIT -> TAKEN, so that nobody who
 * looked before takes a later tag for an earlier one.
 *
 * All functions: any context, any CPU.
 */
#include "mm/internal.h"
#include <anyctx/smp.h>

u64 *line_words;
u64 *hints[NR_HINTS];
/* Changes under way on this CPU, and << 32 how many have begun. */
static DEFINE_PER_CPU(u64, hint_work);

/* ------------------------------------------------------------------ lines */

static enum line_state state_of(u64 l)
{
	return (enum line_state)(l & 3);
}

static u64 with_state(u64 l, enum line_state state)
{
	return (l & ~3UL) | state;
}

enum line_state line_peek(u64 line)
{
	return state_of(load(&line_words[line]));
}

bool line_word_free(u64 w, u64 v)
{
	u64 l = load(&line_words[w / LINE_WORDS]);

	return state_of(l) == LINE_SPLIT && (l >> 2 & TAG_SEQ_MASK) == TAG_SEQ(v);
}

/* All words are the caller's: from now on the line is one block, and taken. */
static void line_join(u64 line)
{
	u64 seq = (line_words[line] >> 2) + 1;

	__atomic_store_n(&line_words[line], seq << 2 | LINE_TAKEN, __ATOMIC_SEQ_CST);
	for (u64 w = line * LINE_WORDS; w < (line + 1) * LINE_WORDS; w++)
		__atomic_store_n(&free_words[w], word_tag(TAG_WHOLE, seq), __ATOMIC_RELEASE);
}

bool line_take(u64 line, bool force)
{
	for (;;) {
		u64 l = load(&line_words[line]), first = line * LINE_WORDS;

		if (state_of(l) == LINE_TAKEN)
			return false;
		if (state_of(l) == LINE_FREE) {
			if (cas(&line_words[line], l, with_state(l, LINE_TAKEN)))
				return true;
			continue;
		}
		if (words_look_full(first, LINE_WORDS) && words_take(first, LINE_WORDS, force)) {
			line_join(line);
			hints_clear(line);
			return true;
		}
		if (load(&line_words[line]) == l)
			return false; /* else it has been joined, and may be free again */
	}
}

bool line_give(u64 line)
{
	u64 l = load(&line_words[line]);
	bool ok;

	if (state_of(l) != LINE_TAKEN)
		return false;
	hint_begin();
	ok = cas(&line_words[line], l, with_state(l, LINE_FREE));
	if (ok)
		hint_set(HINT_LINE, line);
	hint_end();
	return ok;
}

bool line_split(u64 line)
{
	u64 l = load(&line_words[line]);
	bool ok;

	if (state_of(l) != LINE_FREE)
		return false;
	hint_begin();
	ok = cas(&line_words[line], l, with_state(l, LINE_SPLIT));
	if (ok) {
		hint_set(HINT_ANY, line);
		hint_set(HINT_WORD, line);
	}
	hint_end();
	return ok;
}

void line_init_free(u64 line)
{
	line_words[line] = LINE_FREE;
	for (u64 w = line * LINE_WORDS; w < (line + 1) * LINE_WORDS; w++)
		free_words[w] = word_tag(TAG_WHOLE, 0);
	hint_set(HINT_LINE, line);
}

/* ------------------------------------------------------------------ hints */

void hint_begin(void)
{
	this_cpu_add64(hint_work, (1UL << 32) + 1);
}

void hint_end(void)
{
	this_cpu_add64(hint_work, -1);
	if (CONFIG_RT && unlikely(this_cpu_read64(need_resched)))
		preempt_check(); /* who came meanwhile was refused */
}

bool hint_open_here(void)
{
	return (u32)this_cpu_read64(hint_work);
}

bool hint_open_on(unsigned int cpu)
{
	return (u32)READ_ONCE(*per_cpu_ptr(hint_work, cpu));
}

/* Busy may also be a call of this very CPU that we have interrupted. */
u64 hint_version(void)
{
	u64 begun = 0;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
		u64 v = __atomic_load_n(per_cpu_ptr(hint_work, c), __ATOMIC_ACQUIRE);

		if ((u32)v)
			return HINT_BUSY;
		begun += v >> 32;
	}
	return begun;
}

bool hint_busy(void)
{
	return hint_version() == HINT_BUSY;
}

bool hint_test(enum hint h, u64 line)
{
	return __atomic_load_n(&hints[h][line >> 6], __ATOMIC_SEQ_CST) >> (line & 63) & 1;
}

void hint_set(enum hint h, u64 line)
{
	if (!hint_test(h, line))
		__atomic_fetch_or(&hints[h][line >> 6], 1UL << (line & 63), __ATOMIC_SEQ_CST);
}

/* Is there what the hint says? */
static bool line_has(enum hint h, u64 line)
{
	u64 first = line * LINE_WORDS;

	if (h == HINT_LINE)
		return line_peek(line) == LINE_FREE || words_look_full(first, LINE_WORDS);
	for (u64 w = first; w < first + LINE_WORDS; w++) {
		u32 map = word_peek(w);

		if (h == HINT_WORD ? map == WORD_FULL : map != 0)
			return true;
	}
	return false;
}

/* A free that comes between look and clear must not stay unseen: look again. */
void hint_recheck(enum hint h, u64 line)
{
	if (line_has(h, line))
		return;
	hint_begin();
	__atomic_fetch_and(&hints[h][line >> 6], ~(1UL << (line & 63)), __ATOMIC_SEQ_CST);
	if (line_has(h, line))
		hint_set(h, line);
	hint_end();
}

void hints_clear(u64 line)
{
	hint_begin();
	for (unsigned int h = 0; h < NR_HINTS; h++)
		if (hint_test(h, line))
			__atomic_fetch_and(&hints[h][line >> 6], ~(1UL << (line & 63)), __ATOMIC_SEQ_CST);
	if (line_has(HINT_ANY, line) || line_peek(line) == LINE_FREE)
		for (unsigned int h = 0; h < NR_HINTS; h++)
			if (line_has(h, line))
				hint_set(h, line);
	hint_end();
}

/* The next line from `line` below end whose hint is set; end if there is none. */
u64 hint_next(enum hint h, u64 line, u64 end)
{
	while (line < end) {
		u64 bits = __atomic_load_n(&hints[h][line >> 6], __ATOMIC_RELAXED) >> (line & 63);

		if (bits) {
			line += (u64)__builtin_ctzl(bits);
			return line < end ? line : end;
		}
		line = (line | 63) + 1;
	}
	return end;
}
