/*
 * pages.c - blocks of pages, one or a few at a time: alignment, reference counts,
 * frozen blocks, zeroing, every order in every context; and on all CPUs at once, no
 * page twice. All of memory at once: pages_all.c. Bad arguments: args.c, badfree_wild.c.
 */
#include "kernel/hooks.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "tests/badcall.h"
#include "tests/pageset.h"
#include "tests/step.h"
#include "tests/test.h"

/* ---- one block ---- */

static void check_block(struct page *page, unsigned int order, unsigned int count)
{
	REQUIRE(page != NULL);
	EXPECT_EQ(page_ref_count(page), count);
	EXPECT_EQ(page_to_pfn(page) & ((1UL << order) - 1), 0);
	EXPECT(pfn_to_page(page_to_pfn(page)) == page);
	EXPECT(virt_to_page(page_address(page)) == page);
	EXPECT((u64)page_address(page) == DIRECT_MAP_BASE + (page_to_pfn(page) << PAGE_SHIFT));
	EXPECT(ksize(page_address(page)) == PAGE_SIZE << order);
}

static struct page *give_page(unsigned int call, unsigned int order)
{
	switch (call) {
	case 0:
		return alloc_pages(GFP_KERNEL, order);
	case 1:
		return alloc_pages_node(0, GFP_KERNEL, order);
	case 2:
		return alloc_pages_nolock(0, NUMA_NO_NODE, order);
	default:
		return alloc_frozen_pages_nolock(0, NUMA_NO_NODE, order);
	}
}

static void take_page(unsigned int call, struct page *page, unsigned int order)
{
	if (call == 3)
		free_frozen_pages(page, order);
	else if (call == 2)
		free_pages_nolock(page, order);
	else
		free_pages(page, order);
}

TEST(pages, round_trip,
     "each order from each call: aligned, counted, count 1 (frozen: 0), and all comes back")
{
	for (unsigned int order = 0; order <= MAX_ORDER; order++)
		for (unsigned int call = 0; call < 4; call++) {
			u64 before = nr_free_pages();
			struct page *page = give_page(call, order);

			EXPECT_EQ(nr_free_pages(), before - (1UL << order));
			check_block(page, order, call != 3);
			take_page(call, page, order);
			EXPECT_EQ(nr_free_pages(), before);
			EXPECT_EQ(page_ref_count(page), 0);
		}
}

TEST(pages, zeroed, "__GFP_ZERO clears the whole block of any order, after a dirty free")
{
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		size_t n = (PAGE_SIZE << order) / 8;
		u64 *p, wrong = 0;

		REQUIRE(page != NULL);
		memset(page_address(page), 0xd1, PAGE_SIZE << order);
		free_pages(page, order);
		page = order & 1 ? alloc_pages(__GFP_ZERO, order) :
				   alloc_pages_nolock(__GFP_ZERO, NUMA_NO_NODE, order);
		REQUIRE(page != NULL);
		p = page_address(page);
		for (size_t i = 0; i < n; i++)
			wrong += p[i] != 0;
		EXPECT_EQ(wrong, 0);
		free_pages(page, order);
	}
}

/* ---- references ---- */

TEST(pages, references, "a block lives until its last reference is dropped, by whichever call")
{
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		u64 before = nr_free_pages();
		struct page *page = alloc_pages(GFP_KERNEL, order);

		REQUIRE(page != NULL);
		for (unsigned int i = 0; i < 5; i++)
			get_page(page);
		EXPECT_EQ(page_ref_count(page), 6);
		put_page(page);
		free_pages(page, order);
		free_pages_nolock(page, order);
		kfree(page_address(page));
		kfree_nolock(page_address(page));
		EXPECT_EQ(page_ref_count(page), 1);
		EXPECT_EQ(nr_free_pages(), before - (1UL << order));
		put_page(page);
		EXPECT_EQ(nr_free_pages(), before);
	}
}

#define SHARED_ROUNDS 2000

static void get_and_put(void *arg)
{
	struct page *page = arg;

	for (unsigned int i = 0; i < SHARED_ROUNDS; i++) {
		get_page(page);
		get_page(page);
		put_page(page);
		free_pages_nolock(page, 2);
	}
	put_page(page); /* the one given to this CPU */
}

TEST(pages, references_shared, "references taken and dropped on all CPUs at once: the last one frees, once")
{
	u64 before = nr_free_pages();
	struct page *page = alloc_pages(GFP_KERNEL, 2);

	REQUIRE(page != NULL);
	for (unsigned int cpu = 1; cpu < num_online_cpus(); cpu++)
		get_page(page);
	on_each_cpu_thread(get_and_put, page);
	EXPECT_EQ(page_ref_count(page), 0);
	EXPECT_EQ(nr_free_pages(), before);
}

static struct page *shared;
static u64 step, take_at;

static void put_shared(void *unused)
{
	(void)unused;
	put_page(shared);
}

static void get_at_step(struct regs *r)
{
	(void)r;
	if (++step == take_at)
		get_page(shared);
}

TEST(pages, references_interrupted, "a reference that is taken at any instruction of dropping another is not lost")
{
	u64 n;

	if (!step_possible())
		return;
	shared = alloc_pages(GFP_KERNEL, 1);
	REQUIRE(shared != NULL);
	get_page(shared);
	get_page(shared);
	get_page(shared);
	step = take_at = 0;
	n = step_through(put_shared, NULL, get_at_step); /* there are 3 now */
	for (take_at = 1; take_at <= n; take_at++) {
		step = 0;
		step_through(put_shared, NULL, get_at_step);
		if (step < take_at)
			get_page(shared); /* the call was shorter */
		EXPECT_EQ(page_ref_count(shared), 3);
		if (page_ref_count(shared) != 3)
			break;
	}
	test_note("%lu instructions", n);
	while (page_ref_count(shared) > 1)
		put_page(shared);
	free_pages(shared, 1);
}

/* ---- frozen ---- */

static void call_get(void *page)
{
	get_page(page);
}

static void call_put(void *page)
{
	put_page(page);
}

static void call_free(void *page)
{
	free_pages_nolock(page, 3);
}

static void call_kfree(void *page)
{
	kfree_nolock(page_address(page));
}

static void call_free_frozen(void *page)
{
	free_frozen_pages(page, 3);
}

TEST(pages, frozen,
     "nobody takes or drops a reference of a frozen block; a counted one is not freed as frozen")
{
	struct page *frozen = alloc_frozen_pages_nolock(0, NUMA_NO_NODE, 3);
	struct page *counted = alloc_pages(GFP_KERNEL, 3);
	const void *addr = frozen ? page_address(frozen) : NULL;
	const void *counted_addr = counted ? page_address(counted) : NULL;
	const struct bad_call bad[] = {
		{ call_get, frozen, "get_page", frozen, "with references" },
		{ call_put, frozen, "put_page", addr, "count is 0" },
		{ call_free, frozen, "free_pages_nolock", addr, "count is 0" },
		{ call_kfree, frozen, "kfree_nolock", addr, "count is 0" },
		{ call_free_frozen, counted, "free_frozen_pages", counted_addr, "is 1, not 0" },
	};

	reports_begin();
	REQUIRE(frozen && counted);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		expect_bad(&bad[i], ALL_CONTEXTS);
	EXPECT_EQ(page_ref_count(frozen), 0);
	EXPECT_EQ(page_ref_count(counted), 1);
	free_frozen_pages(frozen, 3);
	free_pages(counted, 3);
}

/* ---- every order from every context ---- */

static struct {
	struct page *page;
	unsigned int order;
	bool frozen;
} now;

static void give_nolock(void *unused)
{
	(void)unused;
	now.page = give_page(now.frozen ? 3 : 2, now.order);
}

static void take_nolock(void *unused)
{
	(void)unused;
	take_page(now.frozen ? 3 : 2, now.page, now.order);
}

TEST(pages, contexts, "blocks of every order, frozen too, taken in any context and freed in any other")
{
	unsigned int last = num_online_cpus() - 1, n = 0;

	for (now.order = 0; now.order <= MAX_ORDER; now.order++)
		for (unsigned int i = 0; i < 2 * NR_CONTEXT * NR_CONTEXT; i++) {
			now.frozen = i & 1;
			run_in((enum context)(i / 2 % NR_CONTEXT), 0, give_nolock, NULL);
			check_block(now.page, now.order, !now.frozen);
			run_in((enum context)(i / 2 / NR_CONTEXT), i & 2 ? last : 0, take_nolock, NULL);
			n++;
		}
	test_note("%u blocks", n);
}

/* ---- all CPUs, no page twice ---- */

#define HELD 24
#define ROUNDS 6000

static u64 wrong;

static void expect_none(unsigned int pages)
{
	if (pages)
		__atomic_fetch_add(&wrong, pages, __ATOMIC_RELAXED);
}

static void take_and_give(void *unused)
{
	struct { struct page *page; unsigned int order; } held[HELD] = { { NULL, 0 } };
	struct rng r;

	(void)unused;
	rng_init(&r, smp_processor_id());
	for (unsigned int n = 0; n < ROUNDS + HELD; n++) {
		unsigned int i = n < ROUNDS ? (unsigned int)rng_below(&r, HELD) : n - ROUNDS;

		if (held[i].page) {
			expect_none(pageset_remove(held[i].page, held[i].order));
			free_pages(held[i].page, held[i].order);
			held[i].page = NULL;
		} else if (n < ROUNDS) {
			held[i].order = (unsigned int)rng_below(&r, rng_below(&r, 8) ? 4 : 8);
			held[i].page = alloc_pages(GFP_NOWAIT, held[i].order);
			if (held[i].page)
				expect_none(pageset_add(held[i].page, held[i].order));
		}
	}
}

TEST(pages, no_page_twice,
     "blocks of orders 0 to 7 taken and freed on all CPUs at once: each page has one owner")
{
	REQUIRE(pageset_begin());
	wrong = 0;
	on_each_cpu_thread(take_and_give, NULL);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(pageset_count(), 0);
	pageset_end();
}

TEST(pages, kept_once, "the block of each order that was given back last is had by one, and not by the next again")
{
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *first = alloc_pages(GFP_KERNEL, order), *page[3];

		REQUIRE(first != NULL);
		free_pages(first, order);
		for (unsigned int i = 0; i < ARRAY_SIZE(page); i++)
			page[i] = alloc_pages(GFP_KERNEL, order);
		REQUIRE(page[0] && page[1] && page[2]);
		EXPECT(page[0] != page[1] && page[0] != page[2] && page[1] != page[2]);
		for (unsigned int i = 0; i < ARRAY_SIZE(page); i++)
			free_pages(page[i], order);
	}
}
