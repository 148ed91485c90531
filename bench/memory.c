/*
 * memory.c - what memory itself costs: bytes taken for bytes asked, what describes a
 * page, huge blocks left after a random load, what frees that are put off hold.
 */
#include "bench/memory.h"
#include "bench/bench.h"
#include "bench/fill.h"
#include "bench/loop.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

#define MANY 100000UL

static u64 slab_bytes(void)
{
	struct mm_stats st;

	mm_get_stats(&st);
	return (st.slab_pages + st.large_pages) << PAGE_SHIFT;
}

/* The objects are chained through their first words. */
u64 memory_overhead(size_t size, gfp_t gfp)
{
	u64 most = (nr_managed_pages() << PAGE_SHIFT) / 4 / size, n = most < MANY ? most : MANY;
	u64 before = slab_bytes(), taken;
	void **first = NULL;

	for (u64 i = 0; i < n; i++) {
		void **p = kmalloc(size, gfp);

		if (!p) {
			bench_fail("an allocation failed");
			break;
		}
		*p = first;
		first = p;
	}
	taken = slab_bytes() - before;
	while (first) {
		void **p = first;

		first = *p;
		kfree(p);
	}
	mm_quiesce();
	return (taken - n * size) * 100 * BENCH_ONE / (n * size);
}

BENCH(memory, overhead, "pages taken over bytes asked, % more, for up to 100,000 objects")
{
	static const size_t sizes[] = { 8,   16,  24,  32,  40,  64,  72,   96,   128,
					136, 192, 256, 264, 512, 520, 1024, 2048, 8192 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		bench_put_size("taken over asked, %", sizes[i], memory_overhead(sizes[i], GFP_KERNEL));
}

/* What mm keeps for each page of 4 KiB, in hundredths of a byte. */
static u64 described_by(void)
{
	u64 bits = 8 * 100 * (sizeof(struct page) + sizeof(*frame_cache(0)));

	bits += 8 * 100 * sizeof(free_words[0]) / WORD_PAGES;
	bits += 8 * 100 * (sizeof(line_words[0]) + sizeof(line_node[0])) / LINE_PAGES;
	bits += 100 * NR_HINTS / LINE_PAGES;
	return bits / 8;
}

static u64 huge_blocks(void)
{
	struct page *first = NULL, *page;
	u64 n = 0;

	while ((page = alloc_pages(GFP_NOWAIT, LINE_SHIFT))) {
		*(struct page **)page_address(page) = first;
		first = page;
		n++;
	}
	for (page = first; page; page = first) {
		first = *(struct page **)page_address(page);
		free_pages(page, LINE_SHIFT);
	}
	return n;
}

static void put_huge(const char *state)
{
	u64 could = nr_free_pages() / LINE_PAGES, are = huge_blocks();

	bench_put("free pages, in blocks of 2 MiB", state, could * BENCH_ONE);
	bench_put("blocks of 2 MiB there are", state, are * BENCH_ONE);
	bench_put("of those there could be, %", state, could ? are * 100 * BENCH_ONE / could : 0);
}

BENCH(memory, huge, "blocks of 2 MiB left, before and after a random load")
{
	put_huge("fresh");
	load_run();
	mm_quiesce();
	put_huge("loaded");
	load_end();
	mm_quiesce();
	put_huge("freed");
}

BENCH(memory, metadata, "what the page layer keeps for a page, bytes")
{
	bench_put("descriptor", "bytes", sizeof(struct page) * BENCH_ONE);
	bench_put("descriptor, cache, free map, hints", "bytes", described_by());
}

/* A row of frees in an NMI that goes over the magazine's end. */
BENCH(memory, deferral, "frees put off, at worst: objects, and KiB they hold, a CPU")
{
	struct bench_job job = { .call = CALL_NOLOCK, .shape = SHAPE_GET, .n = 2048 };
	struct mm_stats before, after;

	job.size = KMALLOC_MAX_CACHE_SIZE;
	order_straight(job.n);
	bench_run(&job);
	mm_get_stats(&before);
	job.shape = SHAPE_PUT;
	job.ctx = CTX_NMI;
	bench_run(&job);
	mm_get_stats(&after);
	bench_put("objects of 8 KiB, measured", "objects", (after.deferred - before.deferred) * BENCH_ONE);
	bench_put("objects of 8 KiB, measured", "KiB", (after.deferred - before.deferred) * 8 * BENCH_ONE);
	bench_put("the bound", "objects", DEFER_MAX * BENCH_ONE);
	bench_put("the bound", "KiB", DEFER_MAX * 8 * BENCH_ONE);
}
