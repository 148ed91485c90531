/*
 * pages_all.c - all of memory, as blocks of each order: as many as there are, then NULL;
 * nothing is lost or given twice, and when all is free again it is in one piece again.
 */
#include "kernel/hooks.h"
#include "lib/random.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include "tests/ballast.h"
#include "tests/pageset.h"
#include "tests/test.h"

/* ---- how many blocks there are, by looking at the map ---- */

/* Aligned runs of 2^order ones. */
static unsigned int runs_in(u32 map, unsigned int order)
{
	unsigned int n = 0;

	for (unsigned int bit = 0; bit < WORD_PAGES; bit += 1u << order)
		n += (map >> bit & run_mask(order)) == run_mask(order);
	return n;
}

/* Aligned free blocks of the order; the machine is at rest and nobody keeps pages. */
static u64 blocks_free(unsigned int order)
{
	u64 n = 0, words = order > WORD_SHIFT ? 1UL << (order - WORD_SHIFT) : 1, full = 0;

	for (u64 w = 0; w < nr_lines * LINE_WORDS; w++) {
		u32 map = free_map_of(w);

		if (order < WORD_SHIFT)
			n += map ? runs_in(map, order) : 0;
		full = map == WORD_FULL ? full + 1 : 0;
		if (w % words == words - 1) {
			n += order >= WORD_SHIFT && full == words;
			full = 0;
		}
	}
	return n;
}

/* ---- taking all ---- */

static u64 overlaps;

static u64 take_all(unsigned int order)
{
	struct page *page;
	u64 n = 0;

	while ((page = n & 1 ? alloc_pages_nolock(0, NUMA_NO_NODE, order) : alloc_pages(GFP_NOWAIT, order))) {
		overlaps += pageset_add(page, order);
		n++;
	}
	return n;
}

static void give_all(unsigned int order)
{
	struct page *page;
	u64 pfn = 0;

	while ((page = pageset_next(pfn))) {
		pfn = page_to_pfn(page) + (1UL << order);
		overlaps += pageset_remove(page, order);
		free_pages(page, order);
	}
}

static void check_all(unsigned int order)
{
	u64 expected, taken, whole;

	if (order < WORD_SHIFT)
		ballast_take_most();
	mm_quiesce();
	whole = blocks_free(MAX_ORDER);
	expected = blocks_free(order);
	taken = take_all(order);
	if (taken != expected)
		test_fail(__FILE__, __LINE__, "order %u: %lu blocks taken, %lu were there", order, taken,
			  expected);
	EXPECT_EQ(pageset_count(), taken << order);
	give_all(order);
	mm_quiesce();
	EXPECT_EQ(blocks_free(MAX_ORDER), whole);
	EXPECT_EQ(blocks_free(order), expected);
	ballast_give();
}

TEST(pages, all_of_each_order,
     "every block of every order that the map shows can be had, then NULL; freed, all merges")
{
	REQUIRE(pageset_begin());
	overlaps = 0;
	for (unsigned int order = 0; order <= MAX_ORDER; order++)
		check_all(order);
	EXPECT_EQ(overlaps, 0);
	pageset_end();
}

/* ---- fragments ---- */

/* Free the blocks of which keep(number) says no. */
static u64 give_some(unsigned int order, bool (*keep)(u64 n))
{
	struct page *page;
	u64 pfn = 0, given = 0;

	while ((page = pageset_next(pfn))) {
		pfn = page_to_pfn(page) + (1UL << order);
		if (keep(page_to_pfn(page) >> order))
			continue;
		overlaps += pageset_remove(page, order);
		free_pages(page, order);
		given++;
	}
	return given;
}

static bool keep_odd(u64 n)
{
	return n & 1;
}

static void check_odd_kept(unsigned int order)
{
	struct page *page;
	u64 given;

	take_all(order);
	given = give_some(order, keep_odd);
	page = alloc_pages(GFP_KERNEL, order + 1);
	EXPECT(!page);
	free_pages(page, order + 1);
	EXPECT_EQ(take_all(order), given);
	give_all(order);
}

TEST(pages, every_other,
     "with every other block of an order free, all of these can be had, and none of twice the size")
{
	u64 whole;

	REQUIRE(pageset_begin());
	overlaps = 0;
	ballast_take_most();
	mm_quiesce();
	whole = blocks_free(MAX_ORDER);
	for (unsigned int order = 0; order < MAX_ORDER; order++)
		check_odd_kept(order);
	mm_quiesce();
	EXPECT_EQ(blocks_free(MAX_ORDER), whole);
	EXPECT_EQ(overlaps, 0);
	ballast_give();
	pageset_end();
}

/* ---- random sizes until the end ---- */

#define ROUNDS 20
#define MAX_HELD 20000

static struct {
	struct page *page;
	unsigned int order;
} *held;

static u64 take_random(struct rng *r)
{
	u64 n = 0;

	while (n < MAX_HELD) {
		unsigned int order = (unsigned int)rng_below(r, NR_ORDERS);

		held[n].order = order;
		held[n].page = alloc_pages(GFP_NOWAIT, order);
		if (!held[n].page && !order)
			break;
		if (!held[n].page)
			continue;
		overlaps += pageset_add(held[n].page, order);
		n++;
	}
	return n;
}

static void give_random(struct rng *r, u64 n)
{
	while (n) {
		u64 i = rng_below(r, n);

		overlaps += pageset_remove(held[i].page, held[i].order);
		free_pages(held[i].page, held[i].order);
		held[i] = held[--n];
	}
}

TEST(pages, random_orders,
     "blocks of random orders until nothing is left, freed in random order: all merges again")
{
	u64 whole, seed = 11, n = 0;
	struct rng r;

	held = kmalloc(MAX_HELD * sizeof(*held), GFP_KERNEL);
	REQUIRE(held && pageset_begin());
	overlaps = 0;
	ballast_take_most();
	mm_quiesce();
	whole = blocks_free(MAX_ORDER);
	rng_init(&r, seed);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		n = take_random(&r);
		give_random(&r, n);
		mm_quiesce();
		EXPECT_EQ(blocks_free(MAX_ORDER), whole);
	}
	EXPECT_EQ(overlaps, 0);
	test_note("seed %lu, %lu blocks in the last round", seed, n);
	ballast_give();
	pageset_end();
	kfree(held);
}

/* ---- all CPUs at once ---- */

static u64 all_taken;

static void take_share(void *arg)
{
	unsigned int order = *(unsigned int *)arg;
	struct page *page;
	u64 n = 0, twice = 0;

	while ((page = alloc_pages_nolock(0, NUMA_NO_NODE, order))) {
		twice += pageset_add(page, order);
		n++;
	}
	__atomic_fetch_add(&all_taken, n, __ATOMIC_RELAXED);
	__atomic_fetch_add(&overlaps, twice, __ATOMIC_RELAXED);
}

TEST(pages, all_by_all_cpus, "all CPUs together take every block there is, and no page twice")
{
	static const unsigned int orders[] = { 0, 3, 6, 9 };

	REQUIRE(pageset_begin());
	overlaps = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned int order = orders[i];
		u64 expected;

		if (order < WORD_SHIFT)
			ballast_take_most();
		mm_quiesce();
		expected = blocks_free(order);
		all_taken = 0;
		on_each_cpu_thread(take_share, &order);
		EXPECT_EQ(all_taken, expected);
		EXPECT_EQ(pageset_count(), expected << order);
		give_all(order);
		ballast_give();
	}
	EXPECT_EQ(overlaps, 0);
	pageset_end();
}
