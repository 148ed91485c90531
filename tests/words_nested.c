/*
 * words_nested.c - several words of the free map taken at once, interrupted between any
 * two instructions: a nested call gets any of the pages until the commit, none after.
 *
 * The case owns a block of order 10, and so all the words it uses. The nested call takes
 * a page, a word, half of the words or all of them, and gives them back or keeps them.
 */
#include "lib/bits.h"
#include "mm/internal.h"
#include "tests/inject.h"
#include "tests/test.h"

#define WORDS (2 * LINE_WORDS)

static u64 base; /* the block's first word */

enum nested_call { ONE_PAGE, ONE_WORD, HALF, ALL, NR_NESTED };

static struct {
	u64 w, n;               /* the interrupted call takes these words */
	enum nested_call nested;
	bool kept;              /* the nested one keeps what it takes */
	bool done, got, gave;   /* results: of the outer, of the nested one, of its give */
	bool committed;
} now;

static void outer(void *unused)
{
	(void)unused;
	now.done = words_take(now.w, now.n, true);
}

static u64 nested_words(void)
{
	return now.nested == ALL ? now.n : now.nested == HALF ? now.n / 2 : 1;
}

static u64 nested_pages(void)
{
	return now.nested == ONE_PAGE ? 1 : nested_words() * WORD_PAGES;
}

/* A page of the last word, the first word, the second half, or all. */
static u64 nested_first(void)
{
	return now.nested == ONE_PAGE || now.nested == HALF ? now.w + now.n - nested_words() : now.w;
}

static void nested(void *unused)
{
	u64 w = nested_first();

	(void)unused;
	if (now.nested == ONE_PAGE)
		now.got = word_take(w, 0, true) == 0;
	else if (nested_words() == 1)
		now.got = word_take(w, WORD_SHIFT, true) == 0;
	else
		now.got = words_take(w, nested_words(), true);
	if (!now.got || now.kept)
		return;
	now.gave = now.nested == ONE_PAGE ? word_give(w, 1) : words_give(w, nested_words());
	EXPECT(now.gave);
}

static u64 pages_free(void)
{
	u64 pages = 0;

	for (u64 w = now.w; w < now.w + now.n; w++)
		pages += popcount32(word_peek(w));
	return pages;
}

static void take_rest(void)
{
	for (u64 w = now.w; w < now.w + now.n; w++)
		word_take_all(w, 0);
}

static const struct injection injection = { .fn = outer, .nested = nested };

/* One nested call before instruction `at`; did the outer one come there? */
static bool interrupted_once(u64 at)
{
	bool ran, lost;

	EXPECT(words_give(now.w, now.n));
	now.got = false;
	ran = inject_run(&injection, at);
	now.committed |= ran && !now.got;
	if (now.got && now.committed)
		test_fail(__FILE__, __LINE__, "%lu words, before %lu (%lx): had after the commit", now.n, at,
			  injected_rip);
	lost = ran && now.got && now.kept;
	EXPECT_EQ(now.done, !lost);
	EXPECT_EQ(pages_free(), lost ? now.n * WORD_PAGES - nested_pages() : 0);
	take_rest();
	return ran;
}

static u64 each_nested_call(void)
{
	u64 n, stride, missed;

	EXPECT(words_give(now.w, now.n));
	n = inject_trace(&injection);
	stride = inject_stride(&injection, n);
	EXPECT(now.done);
	for (unsigned int i = 0; i < 2 * NR_NESTED; i++) {
		now.nested = (enum nested_call)(i / 2);
		now.kept = i & 1;
		now.committed = false;
		missed = 0;
		for (u64 at = 1; at <= n; at += stride)
			missed += !interrupted_once(at);
		EXPECT(now.committed);
		EXPECT(inject_few(missed, n / stride));
	}
	return n;
}

TEST(words, interrupted,
     "orders 6 to 10 at any instruction: nested calls have the pages until the commit, not after")
{
	struct page *block;

	if (!step_possible())
		return;
	block = alloc_pages(GFP_KERNEL, MAX_ORDER);
	REQUIRE(block != NULL);
	base = page_to_pfn(block) >> WORD_SHIFT;
	for (now.n = 2; now.n <= WORDS; now.n *= 2) {
		now.w = base + (now.n < WORDS ? LINE_WORDS : 0);
		test_note("%lu words: %lu instructions, %u nested calls at each", now.n, each_nested_call(),
			  2 * NR_NESTED);
	}
	free_pages(block, MAX_ORDER);
}
