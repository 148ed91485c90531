/*
 * quarantine.c - freed objects in quarantine: how long they stay, how many, that all come
 * back, and that a put or a drain may be interrupted anywhere.
 */
#include <arch/cpu.h>
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/inject.h"
#include "tests/test.h"

#define MANY 300

static struct kmem_cache *cache;
static void *objs[MANY];

static bool begin(size_t size, unsigned int n)
{
	cache = kmem_cache_create("quarantined", size, 0, 0, NULL);
	if (!cache)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objs[i])
			return false;
	}
	return true;
}

static void end(void)
{
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
	EXPECT_EQ(kasan_quarantine_count(cache), 0);
}

TEST(kasan, quarantine_order, "a freed object is given out only after many others have been freed")
{
	void *p, *q;
	unsigned int i = 0;

	REQUIRE(begin(64, 1));
	p = objs[0];
	kmem_cache_free(cache, p);
	do {
		q = kmem_cache_alloc(cache, GFP_KERNEL);
		kmem_cache_free(cache, q);
		i++;
	} while (q != p && i < 10 * MANY);
	test_note("given out again after %u frees", i);
	EXPECT(q == p && i >= 200);
	end();
}

TEST(kasan, quarantine_bound, "what one CPU has in quarantine is bounded, in objects and in bytes")
{
	static const size_t sizes[] = { 8, 500, 8192 };

	for (unsigned int k = 0; k < ARRAY_SIZE(sizes); k++) {
		u64 n;

		REQUIRE(begin(sizes[k], MANY));
		for (unsigned int i = 0; i < MANY; i++)
			kmem_cache_free(cache, objs[i]);
		n = kasan_quarantine_count(cache);
		test_note("size %lu: %lu of %u objects, %lu of %lu bytes", sizes[k], n, MANY, n * cache->stride,
			  kasan_quarantine_bytes());
		EXPECT(n > 0 && n <= 256 && n * cache->stride <= kasan_quarantine_bytes());
		end();
	}
}

static void free_some(void *first)
{
	void **p = first;

	for (unsigned int i = 0; i < 50; i++)
		kfree_nolock(p[i]);
}

/* Whoever drains reaches the rings of all CPUs. */
TEST(kasan, quarantine_drained, "what any context of any CPU has freed comes back from any context")
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
			REQUIRE(begin(100, 50));
			kasan_quarantine_drain(); /* the last cache's magazines */
			run_in((enum context)ctx, cpu, free_some, objs);
			EXPECT_EQ(kasan_quarantine_count(cache), 50);
			EXPECT_EQ(kasan_quarantine_drain(), 50);
			end();
		}
}

static u64 got_pages;

static void take_all_pages(void *unused)
{
	struct page *page, *all = NULL;

	(void)unused;
	for (got_pages = 0; (page = alloc_pages_nolock(0, NUMA_NO_NODE, 0)); got_pages++) {
		*(struct page **)page_address(page) = all;
		all = page;
	}
	while (all) {
		page = all;
		all = *(struct page **)page_address(page);
		free_pages_nolock(page, 0);
	}
}

TEST(kasan, quarantine_last_page, "at the end of memory the quarantine is given back: the last page is had")
{
	u64 pages;

	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		REQUIRE(begin(8192, 60));
		mm_quiesce();
		pages = nr_free_pages();
		for (unsigned int i = 0; i < 60; i++)
			kmem_cache_free(cache, objs[i]);
		EXPECT(kasan_quarantine_count(cache) > 0);
		run_in((enum context)ctx, 0, take_all_pages, NULL);
		EXPECT(got_pages > pages); /* those of the cache's slabs as well */
		EXPECT_EQ(kasan_quarantine_count(cache), 0);
		end();
	}
}

/* ---- interrupted ---- */

static void *victim;
static unsigned int nested_at;

static void free_victim(void *unused)
{
	(void)unused;
	kfree_nolock(victim);
}

static void drain_all(void *unused)
{
	(void)unused;
	kasan_quarantine_drain();
}

static void nested_pair(void *unused)
{
	void *p = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE);
	void *q = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE);

	(void)unused;
	EXPECT(p && q && p != q && p != victim && q != victim);
	kfree_nolock(p);
	kfree_nolock(q);
	nested_at++;
}

static void nested_drain(void *unused)
{
	(void)unused;
	kasan_quarantine_drain();
	nested_at++;
}

/* Four in quarantine, one to be freed. */
static void state(void)
{
	void *p[4];

	kasan_quarantine_drain();
	for (unsigned int i = 0; i < 4; i++)
		p[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	victim = kmem_cache_alloc(cache, GFP_KERNEL);
	for (unsigned int i = 0; i < 4; i++)
		kmem_cache_free(cache, p[i]);
}

static void sweep_one(const char *what, void (*fn)(void *), void (*nested)(void *), bool frees)
{
	const struct injection x = { .fn = fn, .nested = nested };
	u64 n = 0, stride;

	for (unsigned int i = 0; i < 2; i++) { /* the first time much is not as it will be */
		state();
		n = inject_trace(&x);
		if (!frees)
			kfree(victim);
	}
	stride = inject_stride(&x, n);
	nested_at = 0;
	for (u64 at = 1; at <= n; at += stride) {
		state();
		inject_run(&x, at);
		if (!frees)
			kfree(victim);
		kasan_quarantine_drain();
		magazine_flush(cache, ~0UL);
		EXPECT_EQ(kasan_quarantine_count(NULL), 0);
	}
	EXPECT(nested_at * 10 >= n / stride * 9);
	test_note("%s: %lu instructions, interrupted at %u", what, n, nested_at);
}

TEST(kasan, quarantine_interrupted,
     "a free into the quarantine, and a drain, may be interrupted at each instruction by each")
{
	if (!step_possible())
		return;
	REQUIRE(begin(64, 0));
	sweep_one("free, by allocations and frees", free_victim, nested_pair, true);
	sweep_one("free, by a drain", free_victim, nested_drain, true);
	sweep_one("drain, by allocations and frees", drain_all, nested_pair, false);
	sweep_one("drain, by a drain", drain_all, nested_drain, false);
	end();
	EXPECT_EQ(mm_check(), 0);
}
