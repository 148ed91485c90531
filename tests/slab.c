/*
 * slab.c - the slab layer: magazines at their edges, slabs made, kept and trimmed,
 * objects where the layout says.
 */
#include "kernel/hooks.h"
#include "lib/random.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/keep.h"
#include "tests/pattern.h"
#include "tests/test.h"

#define MAX_OBJS 8192
static void *objs[MAX_OBJS];

static struct kmem_cache *new_cache(size_t size)
{
	struct kmem_cache *s = kmem_cache_create("slab-test", size, 0, 0, NULL);

	EXPECT(s != NULL);
	return s;
}

static void end_cache(struct kmem_cache *s)
{
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

/* n objects, none twice; false: not all. */
static bool take(struct kmem_cache *s, unsigned int from, unsigned int n)
{
	for (unsigned int i = from; i < from + n; i++) {
		objs[i] = kmem_cache_alloc(s, GFP_KERNEL);
		if (!objs[i]) {
			test_fail(__FILE__, __LINE__, "object %u of %u: NULL", i, n);
			return false;
		}
		pattern_fill(objs[i], s->size);
	}
	return true;
}

static void give(struct kmem_cache *s, unsigned int from, unsigned int n)
{
	for (unsigned int i = from; i < from + n; i++) {
		if (!pattern_ok(objs[i], s->size))
			test_fail(__FILE__, __LINE__, "object %u at %lx was overwritten", i, (u64)objs[i]);
		kmem_cache_free(s, objs[i]);
	}
}

static u64 slabs_of(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_online_cpus(); c++)
		n += per_cpu_ptr(cache_cpu[s->id], c)->slabs;
	return n;
}

/* Slabs on the cache's stacks. */
static u64 listed(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int nid = 0; nid < num_nodes(); nid++)
		for (unsigned int i = 0; i < 2; i++)
			for (u32 pfn = (u32)s->partial[nid].stack[i]; pfn; pfn = pfn_page(pfn)->next)
				n++;
	return n;
}

/* ---- magazines ---- */

TEST(slab, magazine_limits,
     "each class's magazine holds 2 to 511 objects, and no more than its share of memory")
{
	u64 share = (nr_managed_pages() << PAGE_SHIFT) / (128UL * num_online_cpus());

	if (!needs_magazines(8))
		return;
	for (u32 i = 1; i <= NR_KMALLOC; i++) {
		EXPECT(caches[i].limit >= 2 && caches[i].limit < MAG_SLOTS);
		EXPECT(caches[i].limit <= 2 || caches[i].limit * caches[i].stride <= 4UL << 20);
		EXPECT(caches[i].limit <= 2 || caches[i].limit * caches[i].stride <= share ||
		       caches[i].limit * caches[i].stride <= 16UL << 10);
	}
}

/* The magazine of this CPU, up and down over both edges. */
static void magazine_edges(size_t size)
{
	struct kmem_cache *s = new_cache(size);
	u32 n;

	REQUIRE(s && s->limit + 1 < MAX_OBJS);
	n = s->limit;
	REQUIRE(take(s, 0, n + 1));
	magazine_flush(s, ~0UL);
	EXPECT_EQ(magazine_count(s, 0), 0);
	EXPECT(!magazine_pop(s));
	for (u32 i = 0; i <= n; i++)
		mark_set(objs[i], s->offset, free_mark);
	for (u32 i = 0; i < n; i++) {
		EXPECT(magazine_push(s, objs[i]));
		EXPECT_EQ(magazine_count(s, 0), i + 1);
		EXPECT(magazine_holds(s, 0, objs[i]));
	}
	EXPECT(!magazine_push(s, objs[n]));
	for (u32 i = n; i--;)
		EXPECT(magazine_pop(s) == objs[i]);
	EXPECT(!magazine_pop(s));
	for (u32 i = 0; i <= n; i++) {
		mark_set(objs[i], s->offset, 0);
		kmem_cache_free(s, objs[i]);
	}
	end_cache(s);
}

TEST(slab, magazine_edges, "a magazine is full at its limit, empty at 0, last in first out, for every limit")
{
	if (!needs_magazines(8))
		return;
	for (size_t size = 8; size <= KMALLOC_MAX_CACHE_SIZE; size *= 2) {
		magazine_edges(size);
		magazine_edges(size + size / 2 > KMALLOC_MAX_CACHE_SIZE ? size - 8 : size + size / 2);
	}
}

TEST(slab, magazine_closed,
     "a closed magazine takes and gives nothing; closing flushes; opening finds it empty")
{
	struct kmem_cache *s;

	if (!needs_magazines(128))
		return;
	s = new_cache(128);
	REQUIRE(s && take(s, 0, s->limit));
	give(s, 0, s->limit);
	EXPECT(magazine_count(s, 0) > 0);
	EXPECT(magazine_close(s) > 0);
	EXPECT_EQ(magazine_count(s, 0), 0);
	EXPECT_EQ(magazine_close(s), 0);
	EXPECT(!magazine_pop(s));
	EXPECT(!magazine_push(s, objs[0])); /* refused: not touched */
	EXPECT(!magazine_holds(s, 0, objs[0]));
	magazine_open(s);
	EXPECT(!magazine_pop(s));
	EXPECT_EQ(magazine_count(s, 0), 0);
	magazine_open(s);
	REQUIRE(take(s, 0, 3));
	give(s, 0, 3);
	EXPECT(magazine_count(s, 0) >= 3);
	end_cache(s);
}

/* What objs[0..n) should be: the newest n in the magazine. */
TEST(slab, magazine_random, "pushes, pops, flushes, closing and opening at random: as a plain stack would")
{
	struct kmem_cache *s;
	const u64 seed = 7;
	u32 in = 0, outside, n;
	struct rng r;
	bool open = true;

	if (!needs_magazines(192))
		return;
	s = new_cache(192);
	REQUIRE(s != NULL);
	rng_init(&r, seed);
	n = outside = s->limit + 4;
	REQUIRE(take(s, 0, n));
	magazine_flush(s, ~0UL);
	for (u32 i = 0; i < n; i++)
		mark_set(objs[i], s->offset, free_mark);
	for (unsigned int i = 0; i < 20000; i++) {
		u64 what = rng_below(&r, 20);
		void *obj;

		if (what < 9) {
			bool fits = open && in < s->limit && outside;

			if (!outside)
				continue;
			EXPECT_EQ(magazine_push(s, objs[in]), fits);
			in += fits;
			outside -= fits;
		} else if (what < 17) {
			obj = magazine_pop(s);
			EXPECT(obj == (in ? objs[in - 1] : NULL));
			outside += in > 0;
			in -= in > 0;
		} else if (what == 17 && !in) {
			EXPECT_EQ(magazine_close(s), 0);
			open = false;
		} else if (what == 18) {
			magazine_open(s);
			open = true;
		}
		EXPECT_EQ(magazine_count(s, 0), in);
	}
	while (magazine_pop(s))
		;
	magazine_open(s);
	for (u32 i = 0; i < n; i++) {
		mark_set(objs[i], s->offset, 0);
		kmem_cache_free(s, objs[i]);
	}
	end_cache(s);
	test_note("seed %lu, limit %u", seed, s->limit);
}

/* ---- slabs ---- */

TEST(slab, refill,
     "a slab is made when the one before is used up, and freed objects are used before a new one")
{
	struct kmem_cache *s = new_cache(200);
	u32 n;

	REQUIRE(s != NULL);
	n = s->objects;
	REQUIRE(4 * n < MAX_OBJS && take(s, 0, 1));
	EXPECT_EQ(slabs_of(s), 1);
	REQUIRE(take(s, 1, n - 1));
	EXPECT_EQ(slabs_of(s), 1);
	EXPECT(listed(s) == 0 || !s->limit); /* without magazines it leaves when it is come across */
	REQUIRE(take(s, n, 1));
	EXPECT_EQ(slabs_of(s), 2);
	give(s, 0, n / 2);
	kmem_cache_shrink(s);
	EXPECT_EQ(listed(s), 2);
	REQUIRE(take(s, 0, n / 2));
	EXPECT_EQ(slabs_of(s), 2);
	give(s, 0, n + 1);
	end_cache(s);
}

static void free_all_here(void *arg)
{
	give(arg, 0, MAX_OBJS / 4);
}

static void give_on_last_cpu(struct kmem_cache *s)
{
	if (num_online_cpus() == 1) {
		free_all_here(s);
		return;
	}
	cpu_thread_run(num_online_cpus() - 1, free_all_here, s);
	cpu_thread_wait(num_online_cpus() - 1);
}

TEST(slab, empties_trimmed, "slabs that become empty are given back without anyone asking, but for a few")
{
	struct kmem_cache *s = new_cache(256);
	u64 most, end;

	REQUIRE(s && take(s, 0, MAX_OBJS / 4));
	most = slabs_of(s);
	give_on_last_cpu(s);
	defer_settle(); /* the IPIs of the CPU that freed have been served */
	end = slabs_of(s);
	/* A few empty ones are kept, and what the magazine holds keeps others. */
	EXPECT(end <= most / 4 + 9 + s->limit / s->objects + 2);
	EXPECT(end < most);
	test_note("%lu slabs, %lu left", most, end);
	kmem_cache_shrink(s);
	EXPECT_EQ(slabs_of(s), 0);
	EXPECT_EQ(listed(s), 0);
	end_cache(s);
}

TEST(slab, shrink, "shrink returns how many pages it gave back, and keeps slabs with an object in use")
{
	struct kmem_cache *s = new_cache(512);
	u64 before, pages;
	u32 n;

	REQUIRE(s != NULL);
	n = s->objects;
	REQUIRE(take(s, 0, 8 * n));
	give(s, 1, 8 * n - 1); /* the first slab keeps one */
	before = nr_free_pages();
	pages = kmem_cache_shrink(s);
	EXPECT_EQ(nr_free_pages(), before + pages);
	EXPECT_EQ(slabs_of(s), 1);
	EXPECT_EQ(listed(s), 1);
	EXPECT_EQ(kmem_cache_shrink(s), 0);
	EXPECT(pattern_ok(objs[0], 512));
	give(s, 0, 1);
	EXPECT(kmem_cache_shrink(s) > 0);
	end_cache(s);
}
