/*
 * heap.c - bad accesses to objects and pages: each kind, from each context, and what the
 * report says of the object and of who had it.
 */
#include <anyctx/rcupdate.h>
#include <arch/cpu.h>
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/caught.h"
#include "tests/kasan/bad.h"
#include "tests/test.h"

static const size_t sizes[] = { 1, 7, 8, 13, 24, 64, 96, 100, 192, 500, 1024, 2000, 4096, 5000, 8192 };

/* ---- behind what was asked for ---- */

TEST(kasan, behind_object, "the byte behind what was asked for is told, of every size and in every context")
{
	char word[80];

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *p = kmalloc(sizes[i], GFP_KERNEL);

		REQUIRE(p != NULL);
		snprintf(word, sizeof(word), "out of bounds, 0 bytes behind the object of %lu bytes at %lx", (u64)sizes[i],
			 (u64)p);
		expect_access(read_1, p + sizes[i], word);
		expect_told("allocated on CPU 0 in thread");
		expect_told("test_kasan_behind_object+");
		kfree(p);
	}
}

TEST(kasan, behind_cache_object, "so is the one behind an object of a cache, with constructor and without")
{
	struct kmem_cache *s = kmem_cache_create("kasan", 21, 0, 0, NULL);
	char *p;

	reports_begin();
	REQUIRE(s != NULL);
	p = kmem_cache_alloc(s, GFP_KERNEL);
	REQUIRE(p != NULL);
	expect_access(write_1, p + 21, "0 bytes behind the object of 21 bytes");
	expect_access(write_1, p + 21 + 30, "30 bytes behind the object of 21 bytes");
	expect_told("(kasan)");
	kmem_cache_free(s, p);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(kasan, behind_block, "so is the one behind what was asked for of a block of pages by kmalloc")
{
	static const size_t large[] = { 8193, 12345, 3 * PAGE_SIZE, (1UL << 20) + 1, 3UL << 20 };
	char word[80];

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(large); i++) {
		char *p = kmalloc(large[i], GFP_KERNEL);

		REQUIRE(p != NULL);
		snprintf(word, sizeof(word), "out of bounds, 0 bytes behind the block of %lu bytes at %lx", (u64)large[i],
			 (u64)p);
		expect_access(write_1, p + large[i], word);
		expect_told("test_kasan_behind_block+");
		kfree(p);
	}
}

/* Every access of up to 8 bytes around the end of an object, aligned or not. */
static void expect_exact(char *p, size_t size, u64 *told)
{
	static const struct {
		u64 bytes;
		void (*fn)(void *);
	} kinds[] = { { 1, write_1 }, { 4, write_4 }, { 8, write_8 }, { 8, read_8 } };

	for (unsigned int k = 0; k < ARRAY_SIZE(kinds); k++)
		for (size_t at = 0; at < size + 8; at++) {
			bool bad = at + kinds[k].bytes > size;

			expect_reports_here(kinds[k].fn, p + at, bad, bad ? "out of bounds" : "");
			*told += bad;
		}
}

TEST(kasan, exact, "an access is told exactly if it touches a byte that was not asked for")
{
	u64 told = 0;

	reports_begin();
	for (size_t size = 1; size <= 40; size++) {
		char *p = kmalloc(size, GFP_KERNEL);

		REQUIRE(p != NULL);
		expect_exact(p, size, &told);
		kfree(p);
	}
	test_note("%lu bad accesses, all told; none of the good ones", told);
}

TEST(kasan, asked_anew, "krealloc and ksize change what may be used, in both directions")
{
	char *p = kmalloc(40, GFP_KERNEL);

	reports_begin();
	REQUIRE(p != NULL);
	expect_reports_here(write_1, p + 50, 1, "behind the object of 40 bytes");
	p = krealloc(p, 55, GFP_KERNEL);
	REQUIRE(p != NULL);
	expect_reports_here(write_1, p + 50, 0, "");
	expect_reports_here(write_1, p + 55, 1, "behind the object of 55 bytes");
	EXPECT_EQ(ksize(p), 64);
	expect_reports_here(write_1, p + 63, 0, "");
	p = krealloc(p, 33, GFP_KERNEL);
	expect_reports_here(write_1, p + 33, 1, "behind the object of 33 bytes");
	kfree(p);
}

/* ---- after the free ---- */

static void *given;

static void alloc_here(void *size)
{
	given = kmalloc_nolock((size_t)size, 0, NUMA_NO_NODE);
}

static void free_here(void *p)
{
	kfree_nolock(p);
	barrier(); /* a call, and no jump: it has a frame */
}

TEST(kasan, after_free, "the use of a freed object is told, with who allocated and who freed it")
{
	unsigned int last = num_online_cpus() - 1;

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
			enum context other = (enum context)((ctx + 1) % NR_CONTEXT);

			run_in((enum context)ctx, last, alloc_here, (void *)sizes[i]);
			REQUIRE(given != NULL);
			run_in(other, 0, free_here, given);
			expect_access(read_1, given, "use after free, 0 bytes into the object of");
			expect_told("allocated on CPU %u in %s:\n  alloc_here+", last, context_name((enum context)ctx));
			expect_told("freed on CPU 0 in %s:\n  free_here+", context_name(other));
		}
}

/* From the quarantine over the magazine to its slab's chain. */
TEST(kasan, after_free_anywhere, "wherever the free object is")
{
	struct kmem_cache *s = kmem_cache_create("kasan", 200, 0, 0, NULL);
	char *p, *q;

	reports_begin();
	REQUIRE(s != NULL);
	p = kmem_cache_alloc(s, GFP_KERNEL);
	q = kmem_cache_alloc(s, GFP_KERNEL); /* keeps the slab */
	REQUIRE(p != NULL && q != NULL);
	kmem_cache_free(s, p);
	EXPECT_EQ(kasan_quarantine_count(s), 1);
	expect_access(write_4, p + 100, "use after free, 100 bytes into the object of 200 bytes");
	kasan_quarantine_drain();
	EXPECT(!s->limit || magazine_holds(s, smp_processor_id(), p));
	expect_access(write_4, p + 196, "use after free, 196 bytes into the object of 200 bytes");
	kmem_cache_shrink(s);
	expect_access(write_4, p + 8, "use after free, 8 bytes into the object of 200 bytes");
	expect_told("test_kasan_after_free_anywhere+");
	kmem_cache_free(s, q);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	expect_access(read_1, p, "use after free"); /* its page is free */
}

/* ---- typesafe caches ---- */

static void (*reader_does)(void *);

static void in_reader(void *p)
{
	rcu_read_lock();
	reader_does(p);
	rcu_read_unlock();
}

static void read_in_place(enum context place, unsigned int cpu, void *p)
{
	run_in(place, cpu, in_reader, p);
}

static void readers_everywhere(void *p)
{
	each_place(ALL_PLACES, read_in_place, p);
}

static void read_on_last(void *p)
{
	run_in(CTX_THREAD, num_online_cpus() - 1, read_1, p);
}

static void expect_readable(char *p, size_t size)
{
	static void (*const accesses[])(void *) = { read_1, write_1, read_8, write_8 };

	for (unsigned int i = 0; i < ARRAY_SIZE(accesses); i++) {
		reader_does = accesses[i];
		expect_reports_here(readers_everywhere, p, 0, "");
		expect_reports_here(readers_everywhere, p + size - (i < 2 ? 1 : 8), 0, "");
	}
}

/*
 * Freed while a reader is inside: readers may use it, in quarantine, in the magazine, in its
 * slab's chain; who is none may not, nor may a reader use what lies behind it.
 */
static void check_typesafe(void (*ctor)(void *))
{
	struct kmem_cache *s = kmem_cache_create("kasan", 88, 0, SLAB_TYPESAFE_BY_RCU, ctor);
	char *p, *stays;

	REQUIRE(s != NULL);
	p = kmem_cache_alloc(s, GFP_KERNEL);
	stays = kmem_cache_alloc(s, GFP_KERNEL); /* keeps the slab */
	REQUIRE(p != NULL && stays != NULL);
	rcu_read_lock();
	kmem_cache_free(s, p);
	expect_readable(p, 88);
	reader_does = read_1;
	expect_access(in_reader, p + 88, "0 bytes behind the object of 88 bytes");
	kasan_quarantine_drain();
	expect_readable(p, 88);
	magazine_flush(s, ~0UL);
	expect_readable(p, 88);
	expect_reports_here(read_1, p, 0, ""); /* this CPU is inside a reader, the last one is not */
	expect_reports_here(read_on_last, p, num_online_cpus() > 1, num_online_cpus() > 1 ? "use after free" : "");
	rcu_read_unlock();
	synchronize_rcu();
	expect_access(in_reader, p, "use after free, 0 bytes into the object of 88 bytes");
	expect_told("check_typesafe+");
	kmem_cache_free(s, stays);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

static void build(void *obj)
{
	*(u64 *)obj = 7;
}

TEST(kasan, typesafe, "readers may use a freed object of a typesafe cache until the grace period has ended; then it is told")
{
	reports_begin();
	check_typesafe(NULL);
	check_typesafe(build);
}

TEST(kasan, page_after_free, "the use of a free page is told, with the block that it was in and who had that")
{
	char word[80];

	reports_begin();
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		char *p;

		REQUIRE(page != NULL);
		p = page_address(page);
		free_pages(page, order);
		snprintf(word, sizeof(word), "use after free, %lu bytes into the free block of order %u at %lx",
			 (PAGE_SIZE << order) - 8, order, (u64)p);
		expect_access(write_8, p + (PAGE_SIZE << order) - 8, word);
		expect_told("freed on CPU 0 in thread:\n  test_kasan_page_after_free+");
		expect_told("allocated on CPU 0 in thread:\n  test_kasan_page_after_free+");
	}
}

/* ---- freed twice ---- */

TEST(kasan, twice, "a second free is told with both the allocation and the first free, in every context")
{
	struct bad_call b = { free_here, NULL, "kfree_nolock", NULL, "double free" };

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		b.arg = kmalloc(sizes[i], GFP_KERNEL);
		REQUIRE(b.arg != NULL);
		b.ptr = b.arg;
		kfree(b.arg);
		expect_bad(&b, ALL_CONTEXTS);
		expect_told("allocated on CPU 0 in thread:\n  test_kasan_twice+");
		expect_told("freed on CPU 0 in thread:\n  test_kasan_twice+");
	}
}

#define RACES 2000
static void *racing[RACES];
static u32 ready;

static void free_racing(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < RACES; i++) {
		__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) < 2 * (i + 1))
			cpu_relax();
		kfree(racing[i]);
	}
}

static void race(void *unused)
{
	cpu_thread_run(1, free_racing, NULL);
	free_racing(unused);
	cpu_thread_wait(1);
}

TEST(kasan, twice_at_once, "of two CPUs that free the same object at the same time one is told, each time")
{
	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	reports_begin();
	ready = 0;
	for (unsigned int i = 0; i < RACES; i++) {
		racing[i] = kmalloc(64, GFP_KERNEL);
		REQUIRE(racing[i] != NULL);
	}
	expect_reports_here(race, NULL, RACES, "double free");
}

/* ---- what is printed of it ---- */

#define QUIET_REPORTS 600 /* more than are printed since boot */

TEST(kasan, details_printed, "after many reports that were counted quietly one is printed with all its details")
{
	char *p = kmalloc(40, GFP_KERNEL);
	const char *text;

	REQUIRE(p != NULL);
	test_expect_reports(QUIET_REPORTS + 1);
	for (unsigned int i = 0; i < QUIET_REPORTS; i++)
		write_1(p + 40);
	mm_reports_quiet(false);
	text = caught(write_1, p + 40);
	mm_reports_quiet(true);
	EXPECT(line_with(text, "kasan: out of bounds: write of 1 bytes at "));
	EXPECT(line_with(text, "kasan: 0 bytes behind the object of 40 bytes at "));
	EXPECT(line_with(text, "kasan: allocated on CPU "));
	EXPECT(line_with(text, "kasan: shadow of "));
	EXPECT(line_with(text, "mm: bad call: write of 1("));
	kfree(p);
}
