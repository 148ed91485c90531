/*
 * badfree_wild.c - what never was given out must not be freed: wild pointers,
 * pointers into the middle, blocks of another order, objects of another cache, page
 * descriptors that are none. Each is reported once, with call, pointer, CPU and
 * context; nobody touches what they point to; what they hit is still whole.
 *
 * Every bad call is made in each context that may make it, on the first and the
 * last CPU (badcall.h).
 */
#include <arch/machine.h>
#include "arch/x86_64/private.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/search.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/test.h"

/* ---- wild pointers ---- */

#define MAX_WILD 24
static const void *wild[MAX_WILD];
static unsigned int nr_wild;

static void add(u64 p)
{
	if (nr_wild < MAX_WILD)
		wild[nr_wild++] = (const void *)p;
}

/* A frame below max_pfn where there is no memory, if there is one. */
static u64 hole_pfn(void)
{
	for (u64 line = 0; line < nr_lines; line++)
		if (line_node[line] < 0 && (line << LINE_SHIFT) + 7 < max_pfn)
			return (line << LINE_SHIFT) + 7;
	return NO_PFN;
}

static void collect_wild(void)
{
	u64 sp = (u64)__builtin_frame_address(0);

	nr_wild = 0;
	add(17);
	add(PAGE_SIZE);
	add(0x00007ffffffff000);         /* the end of what a user would have */
	add(0x0000800000000000);         /* not canonical, from both sides */
	add(0x8000000000000008);
	add(0xffff7ffffffffff8);
	add(DIRECT_MAP_BASE - 8);
	add(DIRECT_MAP_BASE);            /* frame 0 is nobody's */
	add((u64)pfn_addr(0xa0));        /* the hole for video memory */
	add((u64)pfn_addr(image_phys(__text_start) >> PAGE_SHIFT)); /* this kernel, as memory */
	if (hole_pfn() != NO_PFN)
		add((u64)pfn_addr(hole_pfn()));
	add((u64)pfn_addr(max_pfn));
	add((u64)pfn_addr(max_pfn) + 64);
	add(DIRECT_MAP_BASE + DIRECT_MAP_MAX);
	add(0xffffa00000123458);         /* mapped by nobody */
	add((u64)kfree);
	add((u64)&nr_wild);
	add(sp);
	add((u64)vmemmap);
	add((u64)&vmemmap[max_pfn]);
	add(~0UL);
	add(~0UL - 7);
}

TEST(badfree, wild, "any pointer may be given to any call that takes one: a report, no fault")
{
	struct kmem_cache *s;

	reports_begin();
	s = kmem_cache_create("badfree", 40, 0, 0, NULL);
	REQUIRE(s != NULL);
	collect_wild();
	for (unsigned int i = 0; i < nr_wild; i++) {
		expect_bad_frees(wild[i], "");
		expect_bad_cache_frees(s, wild[i], "no object of a slab");
		expect_bad_looks(wild[i], "not an allocated object");
	}
	test_note("%u pointers", nr_wild);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(badfree, null, "NULL and ZERO_SIZE_PTR are freed and measured without a report")
{
	struct kmem_cache *s = kmem_cache_create("badfree", 40, 0, 0, NULL);
	void *const nothing[] = { NULL, ZERO_SIZE_PTR };

	REQUIRE(s != NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(nothing); i++) {
		kfree(nothing[i]);
		kfree_nolock(nothing[i]);
		EXPECT_EQ(ksize(nothing[i]), 0);
	}
	kmem_cache_free(s, NULL);
	kmem_cache_free_nolock(s, NULL);
	free_pages(NULL, 3);
	free_pages_nolock(NULL, 3);
	free_frozen_pages(NULL, 3);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	EXPECT_EQ(kmem_cache_destroy(NULL), 0);
}

/* ---- into the middle ---- */

static void expect_bad_inside(char *p, size_t size, size_t step, const char *word)
{
	const size_t at[] = { 1, 7, step, size / 2, size - step, size - 1 };

	for (unsigned int i = 0; i < ARRAY_SIZE(at); i++)
		if (at[i] && at[i] < size)
			expect_bad_frees(p + at[i], word);
}

TEST(badfree, middle_of_object,
     "a pointer into an object of any size class, or behind the last one, is reported")
{
	static const size_t sizes[] = { 8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
					448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
					3584, 4096, 5120, 6144, 7168, 8192 };

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *p = kmalloc(sizes[i], GFP_KERNEL);

		REQUIRE(p != NULL);
		memset(p, 0x5a, sizes[i]);
		expect_bad_inside(p, sizes[i], 8, "not the start of an object");
		expect_bad_looks(p + sizes[i] / 2, "not an allocated object");
		for (size_t k = 0; k < sizes[i]; k++)
			EXPECT_EQ(p[k], 0x5a);
		kfree(p);
	}
}

/* What a slab of that size has no use for, as a start and half a start; how many. */
static unsigned int bad_rest(size_t size)
{
	struct kmem_cache *s = kmem_cache_create("badfree", size, 0, 0, NULL);
	char *p = s ? kmem_cache_alloc(s, GFP_KERNEL) : NULL, *rest, *end;
	unsigned int n = 0;
	struct page *head;

	EXPECT(p != NULL);
	if (!p)
		return 0;
	expect_bad_inside(p, size, 8, "not the start of an object");
	expect_bad_cache_frees(s, p + 8, "not the start of an object");
	head = obj_slab(p);
	end = (char *)page_address(head) + (PAGE_SIZE << head->order);
	for (rest = slab_object(s, head, slab_objects(s, head->order)); rest < end; rest += s->stride, n++)
		expect_bad_frees(rest, "not the start of an object");
	kmem_cache_free(s, p);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	return n;
}

TEST(badfree, middle_by_cache, "so it is in a cache of odd size, and in what its slab has no use for")
{
	reports_begin();
	EXPECT(bad_rest(80) + bad_rest(104) + bad_rest(136) > 0); /* a slab may be used up to its end */
}

static void shrink(void *s)
{
	kmem_cache_shrink(s);
}

TEST(badfree, rest_written_to, "the rest of a slab, written to and freed as an object, is told when it comes home")
{
	static const char nothing[8]; /* where an object would have its mark */
	struct kmem_cache *s;
	struct page *head;
	char *p, *rest;

	if (CONFIG_KASAN) {
		test_skip("each free is looked at, so it does not come so far");
		return;
	}
	if (!needs_magazines(104)) /* then it is told at once */
		return;
	reports_begin();
	s = kmem_cache_create("badfree", 104, 0, 0, NULL); /* of no order are 104 used up to a slab's end */
	REQUIRE(s != NULL);
	p = kmem_cache_alloc(s, GFP_KERNEL);
	REQUIRE(p != NULL);
	head = obj_slab(p);
	rest = slab_object(s, head, slab_objects(s, head->order));
	REQUIRE(rest < (char *)page_address(head) + (PAGE_SIZE << head->order));
	stray_write(rest, nothing, sizeof(nothing));
	kfree(p);
	kfree(rest);
	expect_reports_here(shrink, s, 1, "not the start of an object");
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(badfree, middle_of_block, "a pointer into a block of pages of any order, or of kmalloc, is reported")
{
	reports_begin();
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		char *p = kmalloc(PAGE_SIZE << order, GFP_KERNEL);

		REQUIRE(page != NULL && p != NULL);
		expect_bad_inside(page_address(page), PAGE_SIZE << order, PAGE_SIZE, "the middle of the");
		if (order > 1)
			expect_bad_inside(p, PAGE_SIZE << order, PAGE_SIZE, "the middle of the");
		free_pages(page, order);
		kfree(p);
	}
}

/* ---- another order ---- */

struct order_call {
	struct page *page;
	unsigned int order;
};

static void call_free_pages(void *arg)
{
	struct order_call *c = arg;

	free_pages(c->page, c->order);
}

static void call_free_pages_nolock(void *arg)
{
	struct order_call *c = arg;

	free_pages_nolock(c->page, c->order);
}

static void call_free_frozen(void *arg)
{
	struct order_call *c = arg;

	free_frozen_pages(c->page, c->order);
}

static void call_put_page(void *arg)
{
	struct order_call *c = arg;

	put_page(c->page);
}

static void call_get_page(void *arg)
{
	struct order_call *c = arg;

	get_page(c->page);
}

static void expect_bad_block(struct page *page, unsigned int order, const void *reported, const char *word)
{
	struct order_call c = { page, order };
	struct bad_call b = { call_free_pages, &c, "free_pages", reported, word };

	expect_bad(&b, CALL_CONTEXTS);
	b.fn = call_free_pages_nolock;
	b.call = "free_pages_nolock";
	expect_bad(&b, ALL_CONTEXTS);
	b.fn = call_free_frozen;
	b.call = "free_frozen_pages";
	expect_bad(&b, ALL_CONTEXTS);
}

TEST(badfree, wrong_order, "a block is not freed with any order but its own, however large")
{
	static const unsigned int beyond[] = { MAX_ORDER + 1, 12, 31, 32, 63, 64, ~0u };

	reports_begin();
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);

		REQUIRE(page != NULL);
		for (unsigned int k = 0; k <= MAX_ORDER; k++)
			if (k != order)
				expect_bad_block(page, k, page_address(page), "was allocated with order");
		for (unsigned int k = 0; k < ARRAY_SIZE(beyond); k++)
			expect_bad_block(page, beyond[k], page_address(page), "out of range");
		EXPECT_EQ(page_ref_count(page), 1);
		free_pages(page, order);
		expect_bad_block(page, order, page_address(page), "not the head of an allocated block");
	}
}

TEST(badfree, not_a_block, "pages of a slab, tails of a block, and descriptors that are none are not freed")
{
	struct page *page = alloc_pages(GFP_KERNEL, 3);
	void *p = kmalloc(64, GFP_KERNEL);
	const u64 none[] = { 8, (u64)vmemmap - sizeof(*page), (u64)&vmemmap[max_pfn], (u64)&vmemmap[5].next,
			     (u64)kfree, 0x8000000000000000, (u64)p };

	reports_begin();
	REQUIRE(page != NULL && p != NULL);
	expect_bad_block(virt_to_page(p), 0, (void *)((u64)p & PAGE_MASK), "slab cache kmalloc-64");
	for (unsigned int i = 1; i < 8; i++)
		expect_bad_block(page + i, 0, page_address(page + i), "not the head");
	for (unsigned int i = 0; i < ARRAY_SIZE(none); i++) {
		struct order_call c = { (struct page *)none[i], 0 };
		struct bad_call put = { call_put_page, &c, "put_page", c.page, "not a page descriptor" };
		struct bad_call get = { call_get_page, &c, "get_page", c.page, "not the head" };

		expect_bad_block(c.page, 0, c.page, "not a page descriptor");
		expect_bad(&put, ALL_CONTEXTS);
		expect_bad(&get, ALL_CONTEXTS);
	}
	if (hole_pfn() != NO_PFN)
		expect_bad_block(pfn_page(hole_pfn()), 0, pfn_addr(hole_pfn()), "not the head");
	kfree(p);
	free_pages(page, 3);
}

/* ---- another cache ---- */

TEST(badfree, wrong_cache,
     "an object of another cache, or a block, is not taken; its own cache still takes it")
{
	struct kmem_cache *a, *b;
	void *of_a, *of_kmalloc, *block;

	reports_begin();
	a = kmem_cache_create("badfree-a", 64, 0, 0, NULL);
	b = kmem_cache_create("badfree-b", 64, 0, 0, NULL);
	REQUIRE(a != NULL && b != NULL);
	of_a = kmem_cache_alloc(a, GFP_KERNEL);
	of_kmalloc = kmalloc(64, GFP_KERNEL);
	block = kmalloc(PAGE_SIZE * 4, GFP_KERNEL);
	REQUIRE(of_a && of_kmalloc && block);
	expect_bad_cache_frees(b, of_a, "it is of badfree-a");
	expect_bad_cache_frees(b, of_kmalloc, "it is of kmalloc-64");
	expect_bad_cache_frees(b, block, "no object of a slab");
	kmem_cache_free(a, of_a);
	expect_bad_cache_frees(b, of_a, "it is of badfree-a");
	kfree(of_kmalloc);
	kfree(block);
	EXPECT_EQ(kmem_cache_destroy(a), 0);
	EXPECT_EQ(kmem_cache_destroy(b), 0);
}
