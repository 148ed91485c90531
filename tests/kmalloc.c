/*
 * kmalloc.c - objects by size: every size that a class serves and those at the edges
 * of the larger ones; alignment, contents, zeroing, krealloc.
 *
 * A block is filled with a pattern made from its address and size, and checked when it
 * is freed: blocks that overlap do not agree.
 */
#include "lib/random.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "tests/badcall.h"
#include "tests/pattern.h"
#include "tests/test.h"

#define KEPT 256 /* blocks at once: the next ones may not overlap them */
#define LARGEST_CLASS KMALLOC_MAX_CACHE_SIZE

static struct {
	char *p;
	size_t size;
} kept[KEPT];

static void give_back(unsigned int i)
{
	if (!kept[i].p)
		return;
	EXPECT(pattern_ok(kept[i].p, kept[i].size));
	kfree(kept[i].p);
	kept[i].p = NULL;
}

static void give_all_back(void)
{
	for (unsigned int i = 0; i < KEPT; i++)
		give_back(i);
}

/* What a block of this size must be. */
static void check_block(const char *p, size_t size)
{
	size_t align = size & (size - 1) ? 16 : size < PAGE_SIZE ? size : PAGE_SIZE;

	if (size < 16)
		align = size > 8 ? 16 : 8;
	if ((u64)p & (align - 1) || ksize(p) < size)
		test_fail(__FILE__, __LINE__, "kmalloc(%lu) gives %lx, ksize %lu", size, (u64)p, ksize(p));
}

static void keep(unsigned int i, char *p, size_t size)
{
	REQUIRE(p != NULL);
	check_block(p, size);
	pattern_fill(p, size);
	give_back(i);
	kept[i].p = p;
	kept[i].size = size;
}

TEST(kmalloc, every_size, "each size from 1 to 8200 bytes: aligned, large enough, overlapping no other")
{
	for (size_t size = 1; size <= LARGEST_CLASS + 8; size++)
		keep(size % KEPT,
		     size & 1 ? kmalloc(size, GFP_KERNEL) : kmalloc_nolock(size, 0, NUMA_NO_NODE), size);
	give_all_back();
}

TEST(kmalloc, size_classes,
     "ksize is the smallest class that holds the size; above 8 KiB, a power of two of pages")
{
	static const u16 classes[] = { 8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
					448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
					3584, 4096, 5120, 6144, 7168, 8192 };
	unsigned int c = 0;

	for (size_t size = 1; size <= LARGEST_CLASS; size++) {
		void *p = kmalloc(size, GFP_KERNEL);

		c += size > classes[c];
		EXPECT_EQ(ksize(p), classes[c]);
		kfree(p);
	}
	for (unsigned int order = 2; order <= MAX_ORDER; order++) {
		void *p = kmalloc((PAGE_SIZE << order) / 2 + 1, GFP_KERNEL);

		EXPECT_EQ(ksize(p), PAGE_SIZE << order);
		EXPECT_EQ((u64)p & ~PAGE_MASK, 0);
		kfree(p);
	}
}

TEST(kmalloc, large, "sizes around each power of two up to 4 MiB, each whole and its own")
{
	for (size_t size = LARGEST_CLASS; size <= KMALLOC_MAX_SIZE; size *= 2) {
		keep(0, kmalloc(size - 1, GFP_KERNEL), size - 1);
		keep(1, kmalloc_nolock(size, 0, NUMA_NO_NODE), size);
		if (size < KMALLOC_MAX_SIZE)
			keep(2, kmalloc(size + 1, GFP_KERNEL), size + 1);
	}
	give_all_back();
}

TEST(kmalloc, zero_size, "size 0 gives ZERO_SIZE_PTR from every call")
{
	EXPECT(kmalloc(0, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kzalloc(0, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(kmalloc_node(0, GFP_KERNEL, 0) == ZERO_SIZE_PTR);
	EXPECT(kmalloc_nolock(0, 0, NUMA_NO_NODE) == ZERO_SIZE_PTR);
	EXPECT(kmalloc_nolock(0, __GFP_ZERO | __GFP_THISNODE, 0) == ZERO_SIZE_PTR);
	EXPECT(krealloc(NULL, 0, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(krealloc(ZERO_SIZE_PTR, 0, GFP_KERNEL) == ZERO_SIZE_PTR);
	EXPECT(ZERO_OR_NULL_PTR(ZERO_SIZE_PTR) && ZERO_OR_NULL_PTR(NULL));
}

TEST(kmalloc, random_life, "random sizes allocated and freed in random order keep their contents")
{
	const u64 seed = 3;
	struct rng r;

	rng_init(&r, seed);
	for (unsigned int i = 0; i < 30000; i++) {
		size_t size = 1 + rng_below(&r, 1UL << (3 + rng_below(&r, 11)));

		if (rng_below(&r, 4))
			keep((unsigned int)rng_below(&r, KEPT), kmalloc(size, GFP_KERNEL), size);
		else
			give_back((unsigned int)rng_below(&r, KEPT));
	}
	give_all_back();
	test_note("seed %lu", seed);
}

/* ---- zeroing ---- */

static bool all_zero(const char *p, size_t n)
{
	for (; n && (u64)p & 7; p++, n--)
		if (*p)
			return false;
	for (; n >= 8; p += 8, n -= 8)
		if (*(const u64 *)p)
			return false;
	for (; n; p++, n--)
		if (*p)
			return false;
	return true;
}

static void check_zeroed(size_t size, void *p)
{
	if (!p || !all_zero(p, ksize(p)))
		test_fail(__FILE__, __LINE__, "%lu bytes at %lx are not all zero", size, (u64)p);
	if (p)
		memset(p, 0xa5, ksize(p));
	kfree(p);
}

static void check_zeroing(size_t size)
{
	void *p = kmalloc(size, GFP_KERNEL);

	REQUIRE(p != NULL);
	memset(p, 0xff, ksize(p));
	kfree(p);
	check_zeroed(size, kzalloc(size, GFP_KERNEL));
	check_zeroed(size, kmalloc(size, GFP_KERNEL | __GFP_ZERO));
	check_zeroed(size, kmalloc_node(size, GFP_KERNEL | __GFP_ZERO, 0));
	check_zeroed(size, kmalloc_nolock(size, __GFP_ZERO, NUMA_NO_NODE));
	check_zeroed(size, krealloc(NULL, size, GFP_KERNEL | __GFP_ZERO));
	p = kzalloc(size, GFP_KERNEL);
	REQUIRE(p != NULL);
	memset((char *)p + size, 0xff, ksize(p) - size);
	check_zeroed(size, krealloc(p, size, GFP_KERNEL | __GFP_ZERO)); /* where it is */
}

TEST(kmalloc, zeroed, "__GFP_ZERO clears all that ksize tells, after a dirty free, in every call and size")
{
	for (size_t size = 8; size <= KMALLOC_MAX_SIZE; size += size / 2 < 8 ? 8 : size / 2)
		check_zeroing(size);
	check_zeroing(KMALLOC_MAX_SIZE);
}

/* ---- krealloc ---- */

static const size_t realloc_sizes[] = { 1, 7, 8, 9, 64, 65, 96, 100, 128, 500, 512, 513, 4096, 4097,
					8192, 8193, 16384, 16385, 200000 };

static void check_realloc(size_t from, size_t to)
{
	size_t common = from < to ? from : to, had;
	char *p = kmalloc(from, GFP_KERNEL), *q;

	REQUIRE(p != NULL);
	for (size_t i = 0; i < from; i++)
		p[i] = (char)(i * 7 + from);
	had = ksize(p);
	q = krealloc(p, to, GFP_KERNEL);
	REQUIRE(q != NULL);
	EXPECT(ksize(q) >= to);
	if (to <= had && to > had / 2)
		EXPECT(q == p);
	for (size_t i = 0; i < common; i++)
		if (q[i] != (char)(i * 7 + from)) {
			test_fail(__FILE__, __LINE__, "from %lu to %lu: byte %lu is lost", from, to, i);
			break;
		}
	kfree(q);
}

TEST(kmalloc, realloc, "krealloc between any two sizes keeps the common bytes; in place where it fits")
{
	for (unsigned int i = 0; i < ARRAY_SIZE(realloc_sizes); i++)
		for (unsigned int k = 0; k < ARRAY_SIZE(realloc_sizes); k++)
			check_realloc(realloc_sizes[i], realloc_sizes[k]);
}

TEST(kmalloc, realloc_edges, "krealloc from nothing allocates, to nothing frees")
{
	void *const nothing[] = { NULL, ZERO_SIZE_PTR };

	for (unsigned int i = 0; i < ARRAY_SIZE(nothing); i++) {
		void *p = krealloc(nothing[i], 50, GFP_KERNEL);

		REQUIRE(p != NULL && p != ZERO_SIZE_PTR);
		EXPECT(krealloc(p, 0, GFP_KERNEL) == ZERO_SIZE_PTR);
	}
}

static void realloc_too_large(void *p)
{
	EXPECT(!krealloc(p, KMALLOC_MAX_SIZE + 1, GFP_KERNEL));
	EXPECT(!krealloc(p, SIZE_MAX, GFP_KERNEL));
}

TEST(kmalloc, realloc_fails, "a krealloc that fails leaves the block as it was")
{
	char *p = kmalloc(300, GFP_KERNEL);

	reports_begin();
	REQUIRE(p != NULL);
	pattern_fill(p, 300);
	expect_reports_here(realloc_too_large, p, 2, "above the largest");
	EXPECT(pattern_ok(p, 300));
	kfree(p);
}

TEST(kmalloc, realloc_shrinks, "krealloc to less than half gives back what is not needed any more")
{
	static const size_t sizes[][2] = { { 4096, 64 }, { 8192, 1024 }, { 1UL << 20, 4096 }, { 1UL << 22, 1UL << 16 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *p = kmalloc(sizes[i][0], GFP_KERNEL);

		REQUIRE(p != NULL);
		p = krealloc(p, sizes[i][1], GFP_KERNEL);
		EXPECT_EQ(ksize(p), sizes[i][1]);
		kfree(p);
	}
}
