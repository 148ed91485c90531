/*
 * pages_kept.c - what a CPU keeps of pages: most allocations leave the free map, which
 * all CPUs share, alone; with one CPU as with many.
 */
#include "lib/bits.h"
#include "mm/internal.h"
#include "tests/keep.h"
#include "tests/test.h"

#define PAGES 64 /* of a word: 32, so two of these have to look */

static u64 free_in_map(void)
{
	u64 n = 0;

	for (u64 w = 0; w < nr_lines * LINE_WORDS; w++)
		n += popcount32(word_peek(w));
	for (u64 line = 0; line < nr_lines; line++)
		n += line_peek(line) == LINE_FREE ? LINE_PAGES : 0;
	return n;
}

/* How many of PAGES allocations changed the map, here. */
static void count_changes(void *changes)
{
	struct page *page[PAGES];
	u64 before = free_in_map();

	for (unsigned int i = 0; i < PAGES; i++) {
		u64 now;

		page[i] = alloc_pages_nolock(0, NUMA_NO_NODE, 0);
		now = free_in_map();
		*(u64 *)changes += now != before;
		before = now;
	}
	for (unsigned int i = 0; i < PAGES; i++)
		free_pages_nolock(page[i], 0);
}

TEST(pages, kept, "a CPU takes pages out of the map by the word, whichever it is and if it is the only one")
{
	if (!needs_private_pages())
		return;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		u64 changes = 0;

		EXPECT_EQ(smp_call_function_single(cpu, count_changes, &changes, true), 0);
		EXPECT(changes <= PAGES / 8);
	}
}

/* ---- whose memory a CPU breaks up ---- */

static struct page *foreign[PAGES];
static u64 outside;

static void free_foreign(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < PAGES; i++)
		free_pages_nolock(foreign[i], 0);
	page_flush_cpu();
}

static void look_where(void *unused)
{
	const struct page_cpu *pc = this_cpu_ptr(page_cpu);
	struct page *page[PAGES];

	(void)unused;
	for (unsigned int i = 0; i < PAGES; i++) {
		u64 line;

		page[i] = alloc_pages_nolock(0, NUMA_NO_NODE, 0);
		line = page_to_pfn(page[i]) >> LINE_SHIFT;
		outside += line < pc->arena_first || line >= pc->arena_end;
	}
	for (unsigned int i = 0; i < PAGES; i++)
		free_pages_nolock(page[i], 0);
}

TEST(pages, own_share, "a CPU that has freed pages of another's share of memory takes new ones from its own")
{
	unsigned int cpu = num_online_cpus() - 1;

	if (!cpu || per_cpu_ptr(page_cpu, cpu)->arena_first <= per_cpu_ptr(page_cpu, 0)->arena_first) {
		test_skip("needs two CPUs with memory of their own");
		return;
	}
	outside = 0;
	for (unsigned int i = 0; i < PAGES; i++) {
		foreign[i] = alloc_pages(GFP_KERNEL, 0);
		REQUIRE(foreign[i] != NULL);
	}
	EXPECT_EQ(smp_call_function_single(cpu, free_foreign, NULL, true), 0);
	EXPECT_EQ(smp_call_function_single(cpu, look_where, NULL, true), 0);
	EXPECT_EQ(outside, 0);
}
