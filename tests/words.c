/*
 * words.c - the words of the free map, against a model that is plainly right.
 * Interrupted at every instruction: words_nested.c.
 *
 * The cases own a block of order 10: its two lines are theirs, and what they give free
 * in them nobody else takes, as the other CPUs are idle. At the end all is theirs again.
 */
#include "lib/bits.h"
#include "lib/random.h"
#include "mm/internal.h"
#include "tests/test.h"

#define WORDS (2 * LINE_WORDS)

static struct page *block;
static u64 base; /* its first word */
static u32 model[WORDS]; /* bits of free pages */

static bool begin(void)
{
	block = alloc_pages(GFP_KERNEL, MAX_ORDER);
	if (!block)
		return false;
	base = page_to_pfn(block) >> WORD_SHIFT;
	for (unsigned int w = 0; w < WORDS; w++)
		model[w] = 0;
	return true;
}

/* Take back what is free, and give the block back. */
static void end(void)
{
	for (unsigned int w = 0; w < WORDS; w++)
		while (word_take(base + w, 0, true) >= 0)
			;
	for (unsigned int w = 0; w < WORDS; w++)
		EXPECT_EQ(free_words[base + w], 0);
	free_pages(block, MAX_ORDER);
}

static void set_free(u64 first, u64 n)
{
	for (u64 w = first; w < first + n; w++)
		EXPECT(word_give(base + w, (u32)WORD_FULL));
}

/* ---- against the model ---- */

static int model_run(u32 map, unsigned int order)
{
	for (unsigned int bit = 0; bit < WORD_PAGES; bit += 1u << order)
		if ((map >> bit & run_mask(order)) == run_mask(order))
			return (int)bit;
	return -1;
}

TEST(words, find_run, "the first aligned run is found in any map, for every order")
{
	struct rng r;

	rng_init(&r, 1);
	for (unsigned int i = 0; i < 30000; i++) {
		u32 map = (u32)(rng_next(&r) | rng_next(&r) << rng_below(&r, 32));
		unsigned int order = i % (WORD_SHIFT + 1);

		map |= i & 16 ? (u32)rng_next(&r) | (u32)rng_next(&r) : 0;
		if (find_run(map, order) != model_run(map, order))
			test_fail(__FILE__, __LINE__, "map %x, order %u: %d, expected %d", map, order,
				  find_run(map, order), model_run(map, order));
	}
}

static bool model_full(u64 w, u64 n)
{
	for (u64 i = w; i < w + n; i++)
		if (model[i] != (u32)WORD_FULL)
			return false;
	return true;
}

static void try_take(u64 w, unsigned int order, bool force)
{
	int want = model_run(model[w], order), bit = word_take(base + w, order, force);

	EXPECT_EQ(bit, want);
	if (bit >= 0)
		model[w] &= ~(run_mask(order) << bit);
}

static void try_give(u64 w, u32 mask)
{
	bool want = !(model[w] & mask), ok = word_give(base + w, mask);

	EXPECT_EQ(ok, want);
	if (ok)
		model[w] |= mask;
}

static void try_take_all(u64 w, unsigned int order)
{
	u32 want = model_run(model[w], order) >= 0 ? model[w] : 0;

	EXPECT_EQ(word_take_all(base + w, order), want);
	if (want)
		model[w] = 0;
}

static void try_words(u64 w, u64 n, bool force)
{
	bool want = model_full(w, n);

	EXPECT_EQ(words_look_full(base + w, n), want);
	EXPECT_EQ(words_take(base + w, n, force), want);
	for (u64 i = w; want && i < w + n; i++)
		model[i] = 0;
}

static void try_words_give(u64 w, u64 n)
{
	bool none = true;

	for (u64 i = w; i < w + n; i++)
		none &= !model[i];
	if (!none)
		return; /* would be given in part */
	EXPECT(words_give(base + w, n));
	for (u64 i = w; i < w + n; i++)
		model[i] = (u32)WORD_FULL;
}

/* What is free has its hint. */
static void check_hints(void)
{
	for (u64 l = 0; l < 2; l++) {
		u64 line = base / LINE_WORDS + l;
		bool any = false, word = false;

		for (u64 w = l * LINE_WORDS; w < (l + 1) * LINE_WORDS; w++) {
			any |= model[w] != 0;
			word |= model[w] == (u32)WORD_FULL;
		}
		EXPECT(!any || hint_test(HINT_ANY, line));
		EXPECT(!word || hint_test(HINT_WORD, line));
		EXPECT(!model_full(l * LINE_WORDS, LINE_WORDS) || hint_test(HINT_LINE, line));
	}
}

static void check_model(void)
{
	for (u64 w = 0; w < WORDS; w++)
		if (word_peek(base + w) != model[w])
			test_fail(__FILE__, __LINE__, "word %lu: %x, expected %x", w, word_peek(base + w),
				  model[w]);
	check_hints();
}

static void random_step(struct rng *r)
{
	u64 w = rng_below(r, WORDS), n = 2UL << rng_below(r, 5);
	unsigned int order = (unsigned int)rng_below(r, WORD_SHIFT + 1);
	bool force = rng_below(r, 2);

	switch (rng_below(r, 12)) {
	case 0 ... 3:
		try_take(w, order, force);
		break;
	case 4 ... 7:
		try_give(w, run_mask(order) << ((u32)rng_next(r) & (WORD_PAGES - 1) & ~((1u << order) - 1)));
		break;
	case 8:
		try_take_all(w, order);
		break;
	case 9:
		try_words(w & ~(n - 1), n, force);
		break;
	case 10:
		try_words_give(w & ~(n - 1), n);
		break;
	default:
		for (unsigned int h = 0; h < NR_HINTS; h++)
			hint_recheck((enum hint)h, (base + w) / LINE_WORDS);
	}
}

TEST(words, random,
     "takes and gives of every order at random: as a plain map of bits would, hints never missing")
{
	struct rng r;

	REQUIRE(begin());
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

TEST(words, give_twice, "pages that are free already are not taken back, singly or among others")
{
	REQUIRE(begin());
	for (unsigned int bit = 0; bit < WORD_PAGES; bit++) {
		EXPECT(word_give(base + 3, 1u << bit));
		EXPECT(!word_give(base + 3, 1u << bit));
		EXPECT(!word_give(base + 3, (u32)WORD_FULL));
		EXPECT_EQ(word_peek(base + 3), run_mask(5) >> (31 - bit));
	}
	set_free(4, 1);
	EXPECT(!words_give(base + 4, 4)); /* the other three are free now */
	for (u64 w = 4; w < 8; w++)
		EXPECT_EQ(word_peek(base + w), WORD_FULL);
	end();
}
