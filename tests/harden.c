/*
 * harden.c - CONFIG=hardened: links that cannot be forged, an order by chance, memory
 * zeroed at both ends of its use, in every context.
 */
#include "lib/string.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/slab_debug.h"
#include "tests/test.h"

#define SIZE 64
#define MOST 1024

static struct kmem_cache *cache;
static void *objs[MOST];
static unsigned int nr;

static bool needs_hardened(void)
{
	if (!CONFIG_HARDENED)
		test_skip("not CONFIG=hardened");
	return CONFIG_HARDENED;
}

/* One new slab of a new cache, all of it taken. */
static bool take_slab(void)
{
	cache = kmem_cache_create("harden", SIZE, 0, 0, NULL);
	if (!cache)
		return false;
	nr = 1;
	for (unsigned int i = 0; i < nr && i < MOST; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objs[i])
			return false;
		nr = slab_objects(cache, obj_slab(objs[0])->order);
	}
	return nr > 8 && nr <= MOST;
}

static void end_cache(void)
{
	for (unsigned int i = 0; i < nr; i++)
		kmem_cache_free(cache, objs[i]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- the order ---- */

static bool seen[MOST];

static void expect_each_once(void)
{
	memset(seen, 0, sizeof(seen));
	for (unsigned int i = 0; i < nr; i++) {
		int idx = slab_index(cache, obj_slab(objs[0]), objs[i]);

		EXPECT(idx >= 0 && idx < MOST && !seen[idx]);
		if (idx >= 0)
			seen[idx] = true;
	}
}

/* Of two permutations few places are alike: so many once in 10^10 times. */
#define MOST_ALIKE 16
TEST(harden, order, "objects of a new slab come in an order by chance, each once, another order in each slab")
{
	static u16 first[MOST];
	unsigned int alike = 0, in_order = 0;

	if (!needs_hardened())
		return;
	for (unsigned int round = 0; round < 2; round++) {
		REQUIRE(take_slab());
		expect_each_once();
		for (unsigned int i = 0; i < nr; i++) {
			u16 idx = (u16)slab_index(cache, obj_slab(objs[i]), objs[i]);

			alike += round && first[i] == idx;
			in_order += idx == i;
			first[i] = idx;
		}
		end_cache();
	}
	test_note("%u objects: %u places alike, %u in order in two slabs", nr, alike, in_order);
	EXPECT(alike <= MOST_ALIKE && in_order <= MOST_ALIKE);
}

/* ---- links ---- */

static void take_one(void *unused)
{
	(void)unused;
	debug_got = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE);
}

/* All free in one slab but objs[0]; the head of its chain. */
static void *chain_head(void)
{
	struct page *head = obj_slab(objs[0]);

	for (unsigned int i = 1; i < nr; i++)
		kmem_cache_free(cache, objs[i]);
	kmem_cache_shrink(cache);
	EXPECT_EQ(ST_FREE(head->state), nr - 1);
	return slab_object(cache, head, ST_HEAD(head->state));
}

/* The objects that were isolated are put back by hand. */
static void repair(void)
{
	struct page *head = obj_slab(objs[0]);

	kmem_cache_free(cache, debug_got);
	kmem_cache_shrink(cache);
	for (unsigned int i = 1; i < nr; i++) {
		if (object_is_free(cache, objs[i]))
			continue;
		mark_set(objs[i], cache->offset, 0);
		kmem_cache_free(cache, objs[i]);
	}
	EXPECT_EQ(obj_slab(objs[0]), head);
	kmem_cache_free(cache, objs[0]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* link: what is written over the link of the chain's first object. */
static void expect_refused(u32 (*link)(const void *obj), enum context ctx, unsigned int cpu)
{
	void *first;
	u32 word;

	REQUIRE(take_slab());
	first = chain_head();
	word = link(first);
	stray_write((char *)first + cache->offset, &word, sizeof(word));
	debug_expect(take_one, NULL, "slab", first, ctx, cpu, "was written to");
	EXPECT(debug_got && obj_slab(debug_got) != obj_slab(objs[0]));
	repair();
}

/* As it would be right in the default build: to an object that there is. */
static u32 plain_link(const void *obj)
{
	(void)obj;
	return 3 ^ free_mark;
}

static u32 raw_link(const void *obj)
{
	return sanitize_read32((const u32 *)((const char *)obj + cache->offset));
}

/* The right one of the next object of the chain, with the right mark. */
static u32 copied_link(const void *obj)
{
	return raw_link(slab_object(cache, obj_slab(obj), link_get(cache, obj)));
}

static void plain_everywhere(enum context ctx, unsigned int cpu)
{
	expect_refused(plain_link, ctx, cpu);
}

static void copied_everywhere(enum context ctx, unsigned int cpu)
{
	expect_refused(copied_link, ctx, cpu);
}

static bool needs_plain_links(void)
{
	if (!needs_hardened())
		return false;
	if (slab_debug_flags("harden", 0)) {
		test_skip("a debugged cache finds other damage first");
		return false;
	}
	return true;
}

TEST(harden, link_forged, "a link as the default build has it is not followed: reported, the chain isolated")
{
	if (!needs_plain_links())
		return;
	reports_begin();
	debug_everywhere(plain_everywhere);
}

TEST(harden, link_copied, "nor is the right link of another object of the same slab")
{
	if (!needs_plain_links())
		return;
	reports_begin();
	debug_everywhere(copied_everywhere);
}

TEST(harden, link_secret, "the same link in the same object reads otherwise in another cache")
{
	void *first;
	u32 there, idx;

	if (!needs_plain_links())
		return;
	REQUIRE(take_slab());
	first = chain_head();
	idx = link_get(cache, first);
	there = raw_link(first) ^ idx ^ free_mark;
	EXPECT_EQ(there, link_key(cache->secret, first));
	EXPECT(cache->secret != caches[1].secret && caches[1].secret != caches[2].secret && cache->secret);
	take_one(NULL);
	repair();
}

/* ---- zeroed ---- */

static bool all_zero(const void *p, size_t size)
{
	const u64 *w = p;

	for (size_t i = 0; i < size / 8; i++)
		if (w[i])
			return false;
	return true;
}

static const size_t sizes[] = { 8, 64, 96, 200, 1000, 4096, 8192, 8193, 100000 };

static void dirty_and_again(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned int round = 0; round < 3; round++) {
			void *p = kmalloc_nolock(sizes[i], 0, NUMA_NO_NODE);

			EXPECT(p && all_zero(p, ksize(p)));
			if (p)
				memset(p, 0xee, ksize(p));
			kfree_nolock(p);
		}
	for (unsigned int order = 0; order <= 6; order++)
		for (unsigned int round = 0; round < 2; round++) {
			struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, order);

			EXPECT(page && all_zero(page_address(page), PAGE_SIZE << order));
			if (page)
				memset(page_address(page), 0xee, PAGE_SIZE << order);
			free_pages_nolock(page, order);
		}
}

static void dirty_everywhere(enum context ctx, unsigned int cpu)
{
	run_in(ctx, cpu, dirty_and_again, NULL);
}

static bool needs(s64 what)
{
	if (!needs_hardened())
		return false;
	if (!what)
		test_skip("switched off by an argument");
	return what;
}

TEST(harden, init_on_alloc, "what is handed out is zero, objects and pages, on each way and in each context")
{
	void *p;

	if (!needs(init_on_alloc))
		return;
	debug_everywhere(dirty_everywhere);
	for (unsigned int i = 0; i < 3; i++) { /* the compiler knows the class */
		p = kmalloc(64, GFP_KERNEL);
		EXPECT(p && all_zero(p, 64));
		memset(p, 0xee, 64);
		kfree(p);
		p = kmalloc_node(64, GFP_KERNEL, 0);
		EXPECT(p && all_zero(p, 64));
		memset(p, 0xee, 64);
		kfree(p);
	}
}

/* Free memory, where a sanitizer looks as well. */
static bool free_zero(const char *p, size_t size)
{
	for (size_t i = 0; i < size; i += 4)
		if (sanitize_read32((const u32 *)(p + i)))
			return false;
	return true;
}

static void *freed;
static size_t freed_size;

static void free_dirty(void *unused)
{
	(void)unused;
	memset(freed, 0xee, freed_size);
	kfree_nolock(freed);
}

static void zero_after_free(enum context ctx, unsigned int cpu)
{
	for (unsigned int i = 1; i < ARRAY_SIZE(sizes); i++) {
		freed = kmalloc(sizes[i], GFP_KERNEL);
		REQUIRE(freed != NULL);
		freed_size = ksize(freed);
		run_in(ctx, cpu, free_dirty, NULL);
		EXPECT(free_zero((char *)freed + 8, freed_size - 8)); /* link and mark before that */
	}
}

TEST(harden, init_on_free, "what was freed is zero, but for the allocator's own word")
{
	if (!needs(init_on_free))
		return;
	if (slab_debug_flags("kmalloc-64", 0)) {
		test_skip("debugged caches have poison there");
		return;
	}
	debug_everywhere(zero_after_free);
}

static u64 built;

static void build(void *obj)
{
	built++;
	memset(obj, 0x42, SIZE);
}

/* One that is debugged may be written behind, not into. */
static bool all_built(const char *p)
{
	for (unsigned int i = 0; i < SIZE; i++)
		if (p[i] != 0x42)
			return false;
	return true;
}

/* Takes a new slab of the cache, each object of it whole; notes the order. */
static bool take_constructed(u16 *order)
{
	for (unsigned int i = 0; i < nr; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objs[i])
			return false;
		if (!i)
			nr = slab_objects(cache, obj_slab(objs[0])->order);
		if (nr > MOST || obj_slab(objs[i]) != obj_slab(objs[0]))
			return false;
		EXPECT(all_built(objs[i]));
		order[i] = (u16)slab_index(cache, obj_slab(objs[i]), objs[i]);
	}
	return true;
}

static void check_constructed(unsigned int flags)
{
	static u16 order[2][MOST];
	unsigned int alike = 0, in_order = 0;

	cache = kmem_cache_create("harden", SIZE, 0, flags, build);
	REQUIRE(cache != NULL);
	for (unsigned int round = 0; round < 2; round++) {
		built = 0;
		nr = 1;
		REQUIRE(take_constructed(order[round]));
		EXPECT_EQ(built, nr);
		expect_each_once();
		for (unsigned int i = 0; i < nr; i++) {
			alike += round && order[0][i] == order[1][i];
			in_order += order[round][i] == i;
		}
		for (unsigned int again = 0; again < 2; again++) { /* through the chain, where links and marks lie behind them */
			for (unsigned int i = 1; i < nr; i++)
				kmem_cache_free(cache, objs[i]);
			kmem_cache_shrink(cache);
			for (unsigned int i = 1; i < nr; i++) {
				objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
				REQUIRE(objs[i] != NULL);
				EXPECT(all_built(objs[i]));
			}
		}
		EXPECT_EQ(built, nr);
		expect_each_once();
		for (unsigned int i = 0; i < nr; i++)
			kmem_cache_free(cache, objs[i]);
		kmem_cache_shrink(cache); /* the next slab is a new one */
	}
	EXPECT(nr < 2 * MOST_ALIKE || (alike <= MOST_ALIKE && in_order <= 2 * MOST_ALIKE));
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
	test_note("%u objects, flags 0x%x: %u places alike, %u in order in two slabs", nr, flags, alike, in_order);
}

TEST(harden, constructed_order, "constructed objects come in an order by chance as well, each whole, debugged or not; each is built once")
{
	static const unsigned int flags[] = { 0, SLAB_CONSISTENCY_CHECKS, SLAB_RED_ZONE, SLAB_POISON, SLAB_STORE_USER,
		SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER };

	if (!needs_hardened())
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		check_constructed(flags[i]);
		check_constructed(flags[i] | SLAB_TYPESAFE_BY_RCU);
	}
}

TEST(harden, constructed, "constructed objects keep their state all the same")
{
	void *p;

	if (!needs_hardened())
		return;
	cache = kmem_cache_create("harden", SIZE, 0, 0, build);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i < 300; i++) {
		p = kmem_cache_alloc(cache, GFP_KERNEL);
		REQUIRE(p != NULL);
		EXPECT(((const char *)p)[i % SIZE] == 0x42);
		kmem_cache_free(cache, p);
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
