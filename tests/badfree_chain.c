/*
 * badfree_chain.c - a free object that lies in its slab's chain is written to
 * (row 53 of docs/mutants.md): reported when the chain is next followed; the objects behind it
 * stay isolated, nobody is given one of them, nothing crashes, and the rest of the
 * allocator does not notice.
 */
#include "kernel/printk.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/test.h"

#define MAX_OBJECTS 128

static struct kmem_cache *cache;
static void *objs[MAX_OBJECTS]; /* all of one slab; [0] stays in use */
static unsigned int nr;
static struct page *slab;
static u64 taken_from_slab, twice;

static bool is_one_of(const void *p)
{
	for (unsigned int i = 0; i < nr; i++)
		if (objs[i] == p)
			return true;
	return false;
}

/* A cache with one slab, all of whose objects but one are in its chain. */
static bool chain_begin(size_t size)
{
	test_frees_at_once();
	cache = kmem_cache_create("chain", size, 0, 0, NULL);
	if (!cache)
		return false;
	nr = 1;
	for (unsigned int i = 0; i < nr && nr <= MAX_OBJECTS; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objs[i])
			return false;
		slab = obj_slab(objs[0]); /* of the usual order, or smaller */
		nr = slab_objects(cache, slab->order);
	}
	for (unsigned int i = 1; i < nr; i++)
		kmem_cache_free(cache, objs[i]);
	kmem_cache_shrink(cache);
	return nr <= MAX_OBJECTS && ST_FREE(slab->state) == nr - 1;
}

/* How deep in the chain p lies; -1: not at all. */
static int depth_of(const void *p)
{
	u32 idx = ST_HEAD(slab->state);

	for (int n = 0; n < (int)ST_FREE(slab->state); n++) {
		if (slab_object(cache, slab, idx) == p)
			return n;
		idx = link_get(cache, slab_object(cache, slab, idx));
	}
	return -1;
}

/* Take as many as there were, in whatever way is to be tried. */
static void take_all(void *arg)
{
	static void *got[MAX_OBJECTS];
	void *(*take)(void) = (void *(*)(void))arg;

	taken_from_slab = twice = 0;
	for (unsigned int i = 0; i < nr; i++) {
		got[i] = take();
		EXPECT(got[i] != NULL);
		taken_from_slab += is_one_of(got[i]);
		for (unsigned int k = 0; k < i; k++)
			twice += got[k] == got[i];
	}
	for (unsigned int i = 0; i < nr; i++)
		kmem_cache_free(cache, got[i]);
}

static void *take_here(void)
{
	return kmem_cache_alloc(cache, GFP_KERNEL);
}

/* One at a time, as it is done while memory is tight. */
static void *take_one_by_one(void)
{
	void *obj = partial_get_one(cache, -1);

	if (!obj)
		return kmem_cache_alloc(cache, GFP_KERNEL);
	object_take(cache, obj, cache->offset);
	return obj;
}

/* The isolated objects are nobody's: give them back for the sake of the page count. */
static void repair(void)
{
	u64 lost = 0;

	kmem_cache_shrink(cache);
	for (unsigned int i = 1; i < nr; i++) {
		mark_set(objs[i], cache->offset, free_mark);
		if (depth_of(objs[i]) >= 0)
			continue;
		lost++;
		in_use_again(cache, objs[i]);
		kmem_cache_free(cache, objs[i]);
	}
	kmem_cache_free(cache, objs[0]);
	EXPECT(lost > 0);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* Write n bytes at offset at of a free object in the middle of the chain. */
static void corrupt(size_t at, const void *bytes, size_t n, void *(*take)(void))
{
	char *victim, report[40];
	int depth;

	REQUIRE(chain_begin(64));
	victim = objs[nr / 2];
	depth = depth_of(victim);
	REQUIRE(depth > 0);
	stray_write(victim + at, bytes, n);
	snprintf(report, sizeof(report), "slab(%lx)", (u64)victim);
	expect_reports_here(take_all, (void *)take, 1, report);
	EXPECT_EQ(twice, 0);
	EXPECT(taken_from_slab <= (u64)depth);
	repair();
}

static void corrupt_each_way(size_t at, const void *bytes, size_t n)
{
	corrupt(at, bytes, n, take_here);
	corrupt(at, bytes, n, take_one_by_one);
}

TEST(badfree, chain_all, "eight bytes written into a free object: reported, isolated, no crash")
{
	static const u64 values[] = { 0, ~0UL, 0x4141414141414141, (u64)DIRECT_MAP_BASE, 1, 0x300000001 };

	if (!needs_undebugged(64))
		return;
	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++)
		corrupt_each_way(0, &values[i], 8);
}

TEST(badfree, chain_mark, "one byte written over the mark is enough")
{
	if (!needs_undebugged(64))
		return;
	reports_begin();
	for (size_t at = 4; at < 8; at++) {
		char byte = (char)(((const char *)&free_mark)[at - 4] ^ 0x10);

		corrupt_each_way(at, &byte, 1);
	}
}

TEST(badfree, chain_link, "a small number written over the link only is not taken for one")
{
	static const u32 values[] = { 0, 1, 2, 7, 31, 1023, 1024, 0x7fffffff, ~0u };

	if (!needs_undebugged(64))
		return;
	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(values); i++)
		corrupt_each_way(0, &values[i], 4);
}

TEST(badfree, chain_behind, "a link of the right form to behind the slab's last object is not followed")
{
	if (!needs_undebugged(64))
		return;
	reports_begin();
	for (u32 i = 0; i < 3; i++) {
		u32 link;

		cache = kmem_cache_create("chain", 64, 0, 0, NULL);
		REQUIRE(cache != NULL);
		link = (cache->objects + i) ^ free_mark;
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
		corrupt_each_way(0, &link, 4);
	}
}

/* Takes one where the call is nested as deep as it can be; the chain's first is damaged. A
 * CPU of another node has to ask for it. */
static void take_nolock(void *unused)
{
	(void)unused;
	objs[0] = kmem_cache_alloc_nolock(cache, 0, page_home_node() == page_to_nid(slab) ? NUMA_NO_NODE : page_to_nid(slab));
}

static void chain_in(enum context ctx, unsigned int cpu, void *unused)
{
	struct bad_call b = { take_nolock, NULL, "slab", NULL, "was written to; the free ones of its slab" };
	u64 value = 0x4141414141414141;
	void *used, *victim;

	(void)unused;
	REQUIRE(chain_begin(64));
	used = objs[0];
	victim = slab_object(cache, slab, ST_HEAD(slab->state));
	stray_write(victim, &value, sizeof(value));
	b.ptr = victim;
	expect_bad_in(&b, ctx, cpu);
	EXPECT(objs[0] && obj_slab(objs[0]) != slab);
	kmem_cache_free(cache, objs[0]);
	objs[0] = used;
	repair();
}

TEST(badfree, chain_anywhere, "the same, found by an allocation in each context of the first and the last CPU, which the report names")
{
	if (!needs_undebugged(64))
		return;
	reports_begin();
	each_place(ALL_PLACES, chain_in, NULL);
}
