/*
 * slab_starts.c - where objects above 2 KiB lie: at multiples of their size, so that a free
 * takes the short way; but in slabs of the smallest order, which may be too short for that,
 * at the slab's beginning, where a free looks closer and no wild pointer passes.
 */
#include "lib/string.h"
#include "mm/fail.h"
#include "mm/fast.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/test.h"

#define BETWEEN_MEMORY (128UL << 20) /* below, slabs are too small to lose an object to it */
#define SLABS 8
#define TRIES 64

static const size_t between[] = { 2560, 3072, 3584, 5120, 6144, 7168 };

/* One in a slab that begins as the stride says; others on the way to it are held meanwhile. */
static bool is_at_multiple(size_t size)
{
	const struct kmem_cache *s = &caches[__kmalloc_class_of(size)];
	bool found = false, at = false;
	void *held[TRIES];
	unsigned int n = 0;

	while (n < TRIES && !found) {
		void *p = kmalloc(size, GFP_KERNEL);

		held[n++] = p;
		found = p && (!s->small_closer || obj_slab(p)->order == s->order);
		at = found && start_of(p, READ_ONCE(*frame_cache(addr_pfn(p))));
	}
	while (n)
		kfree(held[--n]);
	EXPECT(found);
	return at;
}

TEST(starts, all_classes, "an object of each of kmalloc's classes goes back by the short way")
{
	if (CONFIG_KASAN || !needs_magazines(64) || !needs_undebugged(64))
		return;
	for (u32 id = 1; id <= NR_KMALLOC; id++)
		if (nr_managed_pages() << PAGE_SHIFT >= BETWEEN_MEMORY || caches[id].size <= 2048)
			EXPECT(is_at_multiple(caches[id].size));
}

/* Each multiple of the stride in the object's slab, but for where one begins. */
static void expect_bad_multiples(struct kmem_cache *s, const char *obj)
{
	const struct page *head = obj_slab(obj);
	char *start = page_address(head), *end = start + (PAGE_SIZE << head->order);
	s64 stride = s->stride, first = -((s64)start % stride); /* negative addresses: as in slab.c */

	for (char *p = start + (first < 0 ? first + stride : first); p < end; p += stride)
		if (p != obj) {
			expect_bad_frees(p, "not the start of an object");
			expect_bad_cache_frees(s, p, "not the start of an object");
		}
}

/* In the mode of little memory each slab is of the smallest order. */
static bool take_small(struct kmem_cache *s, void **objs)
{
	struct fail_setup tight = { .layer[FAIL_PAGE] = { .per_million = FAIL_ALWAYS, .orders = 1u << MAX_ORDER }, .at_hand = true };
	bool all = true;

	fail_arm(&tight);
	for (unsigned int i = 0; i < SLABS; i++) {
		objs[i] = kmem_cache_alloc(s, GFP_KERNEL);
		all &= objs[i] && obj_slab(objs[i])->order == s->min_order;
	}
	fail_disarm();
	return all;
}

static void give_by_turns(struct kmem_cache *s, void **objs)
{
	kmem_cache_free(s, objs[0]);
	kmem_cache_free_nolock(s, objs[1]);
	kfree(objs[2]);
	kfree_nolock(objs[3]);
	kmem_cache_free_bulk(s, 2, &objs[4]);
	kfree_bulk(SLABS - 6, &objs[6]);
}

TEST(starts, small_slabs, "in a slab of the smallest order a multiple of the size is no start, and what is goes back by each call")
{
	void *objs[SLABS];

	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(between); i++) {
		struct kmem_cache *s = kmem_cache_create("small", between[i], 0, 0, NULL);

		REQUIRE(s != NULL);
		EXPECT(take_small(s, objs));
		for (unsigned int k = 0; k < SLABS; k++) {
			memset(objs[k], 0x5a, between[i]);
			expect_bad_multiples(s, objs[k]);
		}
		give_by_turns(s, objs);
		EXPECT_EQ(kmem_cache_destroy(s), 0);
	}
}
