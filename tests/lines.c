/*
 * lines.c - lines of 512 pages that are taken, given back, split and joined as a whole,
 * against a model; and interrupted between any two instructions.
 *
 * The cases own a block of order 10, and so its two lines; they use the first.
 */
#include <arch/cpu.h>
#include "lib/bits.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/walk.h"
#include "tests/inject.h"
#include "tests/test.h"

static struct page *block;
static u64 line, first; /* the line and its first word */

static bool begin(void)
{
	block = alloc_pages(GFP_KERNEL, MAX_ORDER);
	if (!block)
		return false;
	line = page_to_pfn(block) >> LINE_SHIFT;
	first = line * LINE_WORDS;
	return true;
}

/* All words free, one by one; the line is split. */
static void set_split_free(void)
{
	EXPECT(words_give(first, LINE_WORDS));
	EXPECT_EQ(line_peek(line), LINE_SPLIT);
}

/* Whatever is free becomes ours again, as words. */
static void take_back(void)
{
	if (line_peek(line) == LINE_TAKEN)
		EXPECT(line_give(line));
	line_split(line);
	EXPECT_EQ(line_peek(line), LINE_SPLIT);
	for (u64 w = first; w < first + LINE_WORDS; w++)
		word_take_all(w, 0);
}

static void end(void)
{
	take_back();
	for (u64 w = first; w < first + LINE_WORDS; w++)
		EXPECT_EQ(free_words[w], 0);
	free_pages(block, MAX_ORDER);
}

static u64 pages_free(void)
{
	u64 n = 0;

	for (u64 w = first; w < first + LINE_WORDS; w++)
		n += popcount32(free_map_of(w));
	return n;
}

/* ---- against the model ---- */

static enum line_state model;
static u32 map[LINE_WORDS]; /* of a split line */

static bool model_full(u64 w, u64 n)
{
	for (u64 i = w; i < w + n; i++)
		if (map[i] != (u32)WORD_FULL)
			return false;
	return true;
}

static void set_map(u32 v)
{
	for (unsigned int w = 0; w < LINE_WORDS; w++)
		map[w] = v;
}

static void check_model(void)
{
	u64 want = model == LINE_FREE ? LINE_PAGES : 0;

	for (unsigned int w = 0; model == LINE_SPLIT && w < LINE_WORDS; w++) {
		want += popcount32(map[w]);
		EXPECT_EQ(word_peek(first + w), map[w]);
	}
	EXPECT_EQ(line_peek(line), model);
	EXPECT_EQ(pages_free(), want);
	if (want)
		EXPECT(hint_test(model == LINE_FREE ? HINT_LINE : HINT_ANY, line));
	if (model == LINE_SPLIT && model_full(0, LINE_WORDS))
		EXPECT(hint_test(HINT_LINE, line));
}

static void try_take(bool force)
{
	bool want = model == LINE_FREE || (model == LINE_SPLIT && model_full(0, LINE_WORDS));

	EXPECT_EQ(line_take(line, force), want);
	if (want)
		model = LINE_TAKEN;
}

static void try_give(void)
{
	bool want = model == LINE_TAKEN;

	EXPECT_EQ(line_give(line), want);
	if (want)
		model = LINE_FREE;
}

static void try_split(void)
{
	bool want = model == LINE_FREE;

	EXPECT_EQ(line_split(line), want);
	if (!want)
		return;
	model = LINE_SPLIT;
	set_map((u32)WORD_FULL);
}

/* Words of a line that is not split can neither be had nor given. */
static void try_word(struct rng *r)
{
	u64 w = rng_below(r, LINE_WORDS);
	u32 bit = 1u << rng_below(r, WORD_PAGES);
	bool split = model == LINE_SPLIT;

	if (rng_below(r, 2)) {
		EXPECT_EQ(word_give(first + w, bit), split && !(map[w] & bit));
		map[w] |= split ? bit : 0;
	} else {
		int had = word_take(first + w, 0, true);

		EXPECT_EQ(had, split && map[w] ? __builtin_ctz(map[w]) : -1);
		map[w] &= had >= 0 ? ~(1u << had) : ~0u;
	}
}

static void try_words(struct rng *r)
{
	u64 n = 2UL << rng_below(r, 3), w = rng_below(r, LINE_WORDS) & ~(n - 1);
	bool full = model == LINE_SPLIT && model_full(w, n);

	EXPECT_EQ(words_take(first + w, n, true), full);
	for (u64 i = w; full && i < w + n; i++)
		map[i] = 0;
}

static void give_missing(void)
{
	for (u64 w = 0; model == LINE_SPLIT && w < LINE_WORDS; w++)
		if (~map[w]) {
			EXPECT(word_give(first + w, ~map[w]));
			map[w] = (u32)WORD_FULL;
		}
}

static void random_step(struct rng *r)
{
	switch (rng_below(r, 10)) {
	case 0:
	case 1:
		try_take(rng_below(r, 2));
		break;
	case 2:
		try_give();
		break;
	case 3:
		try_split();
		break;
	case 4:
		give_missing();
		break;
	case 5:
		try_words(r);
		break;
	case 6:
		for (unsigned int h = 0; h < NR_HINTS; h++)
			hint_recheck((enum hint)h, line);
		break;
	default:
		try_word(r);
	}
}

TEST(lines, random, "a line split, joined, taken and given at random, and its words: as the model says")
{
	struct rng r;

	REQUIRE(begin());
	model = LINE_SPLIT;
	set_map(0);
	for (u64 seed = 1; seed <= 10; seed++) {
		rng_init(&r, seed);
		for (unsigned int i = 0; i < 3000; i++) {
			random_step(&r);
			check_model();
		}
	}
	end();
	test_note("seeds 1 to 10");
}

TEST(lines, give_twice, "a line that is free, or split, is not given back as a whole")
{
	REQUIRE(begin());
	EXPECT(!line_give(line));
	set_split_free();
	EXPECT(!line_give(line));
	EXPECT(line_take(line, false));
	EXPECT(!line_take(line, true));
	EXPECT(line_give(line));
	EXPECT(!line_give(line));
	EXPECT_EQ(pages_free(), LINE_PAGES);
	end();
}

/* ---- interrupted ---- */

enum outer_call { TAKE_SPLIT, TAKE_FREE, GIVE, SPLIT, WORD_OF_SPLIT, NR_OUTER };
static const char *const outer_names[] = { "joining", "taking", "giving", "splitting", "resolving a word" };

static struct {
	enum outer_call outer;
	bool done, had;
} now;

static void outer(void *unused)
{
	(void)unused;
	switch (now.outer) {
	case TAKE_SPLIT:
	case TAKE_FREE:
		now.done = line_take(line, true);
		break;
	case GIVE:
		now.done = line_give(line);
		break;
	case SPLIT:
		now.done = line_split(line);
		break;
	default:
		now.done = word_take(first + 5, 3, true) >= 0;
	}
}

static void outer_begin(void)
{
	set_split_free();
	if (now.outer == TAKE_SPLIT)
		return;
	EXPECT(line_take(line, true));
	if (now.outer == GIVE)
		return;
	EXPECT(line_give(line));
	if (now.outer == WORD_OF_SPLIT)
		EXPECT(line_split(line));
}

/* The whole line, if it is to be had. */
static void nested_line(void *unused)
{
	(void)unused;
	now.had = line_take(line, true);
	if (now.had)
		EXPECT(line_give(line));
}

/* A page, splitting the line if need be; it stays taken. */
static void nested_page(void *unused)
{
	(void)unused;
	line_split(line);
	now.had = word_take(first + 5, 0, true) >= 0;
}

/* How much is free in the end. */
static u64 pages_expected(bool page_kept)
{
	if (now.outer == WORD_OF_SPLIT)
		return LINE_PAGES - (now.done ? 8 : 0) - page_kept;
	if (now.outer == TAKE_SPLIT || now.outer == TAKE_FREE)
		return now.done ? 0 : LINE_PAGES - page_kept;
	return LINE_PAGES - page_kept;
}

static void interrupted_once(const struct injection *x, u64 at, u64 *hits, u64 *missed)
{
	bool page_kept;

	now.had = false;
	outer_begin();
	*missed += !inject_run(x, at);
	*hits += now.had;
	page_kept = now.had && x->nested == nested_page;
	EXPECT_EQ(pages_free(), pages_expected(page_kept));
	if (now.outer == TAKE_SPLIT || now.outer == TAKE_FREE)
		EXPECT_EQ(now.done, !page_kept);
	take_back();
}

static void interrupted_everywhere(const char *name, void (*nested)(void *))
{
	const struct injection x = { .fn = outer, .nested = nested };
	u64 n, stride, hits = 0, missed = 0;

	outer_begin();
	n = inject_trace(&x);
	EXPECT(now.done);
	take_back();
	stride = inject_stride(&x, n);
	for (u64 at = 1; at <= n; at += stride)
		interrupted_once(&x, at, &hits, &missed);
	EXPECT(hits > 0);
	EXPECT(inject_few(missed, n / stride));
	test_note("%s, a nested call takes %s: %lu points, had at %lu", outer_names[now.outer], name, n,
		  hits);
}

TEST(lines, interrupted,
     "take, join, give, split at any instruction: a nested call has the line, a page, or all is the outer's")
{
	if (!step_possible())
		return;
	REQUIRE(begin());
	for (unsigned int i = 0; i < NR_OUTER; i++) {
		now.outer = (enum outer_call)i;
		interrupted_everywhere("the line", nested_line);
		interrupted_everywhere("a page", nested_page);
	}
	end();
}

/* ---- the search for a hint ---- */

#define HINT_LINES 256

TEST(lines, hint_next, "the next hint is found from every line, wherever the others are, and none beyond the end")
{
	static u64 bits[HINT_LINES / 64];
	u64 *were = hints[HINT_WORD], wrong = 0, flags = arch_irq_save();

	for (u64 set = 0; set < HINT_LINES; set++) {
		memset(bits, 0, sizeof(bits));
		bits[set >> 6] = 1UL << (set & 63);
		hints[HINT_WORD] = bits; /* nobody else is at work */
		for (u64 from = 0; from <= HINT_LINES; from++) {
			wrong += hint_next(HINT_WORD, from, HINT_LINES) != (from <= set ? set : HINT_LINES);
			wrong += hint_next(HINT_WORD, from, set) != set;
		}
		hints[HINT_WORD] = were;
	}
	arch_irq_restore(flags);
	EXPECT_EQ(wrong, 0);
}
