/*
 * slab_debug.c - what debugged caches find: each kind of damage is done by hand, and found
 * by a call in each context of the first and the last CPU, which says what and where, once;
 * nobody gets the object, nor another of its slab, and all else goes on.
 */
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/memcg.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/slab_debug.h"
#include "tests/test.h"

static struct {
	s64 at;        /* where, from the object's start */
	u8 byte;
	size_t n;
	const char *text;
} damage;

/* Nobody is given an object of it any more; others are. */
static void expect_isolated(struct page *head)
{
	void *p[8];

	EXPECT(head->isolated);
	EXPECT_EQ(ST_FREE(head->state), 0);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = kmem_cache_alloc(debug_cache, GFP_KERNEL);
		EXPECT(p[i] && obj_slab(p[i]) != head);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		kmem_cache_free(debug_cache, p[i]);
}

/* Damage around an object in use, which its free finds. */
static void found_by_free(enum context ctx, unsigned int cpu)
{
	void *p;

	REQUIRE(debug_begin(SLAB_RED_ZONE, NULL));
	p = debug_obj;
	debug_obj = NULL;
	debug_scribble(p, damage.at, damage.byte, damage.n);
	debug_expect(debug_free, p, "kfree_nolock", p, ctx, cpu, damage.text);
	expect_isolated(obj_slab(p));
	debug_end();
}

/* Damage to a free one, which the next allocation finds: it gets another. */
static void found_by_alloc(enum context ctx, unsigned int cpu)
{
	struct page *head;
	void *p;

	REQUIRE(debug_begin(SLAB_RED_ZONE | SLAB_POISON, NULL));
	p = debug_obj;
	head = obj_slab(p);
	debug_obj = NULL;
	kmem_cache_free(debug_cache, p); /* it is the next to be given out */
	debug_scribble(p, damage.at, damage.byte, damage.n);
	debug_expect(debug_alloc, NULL, "slab", p, ctx, cpu, damage.text);
	EXPECT(debug_got && obj_slab(debug_got) != head);
	kmem_cache_free(debug_cache, debug_got);
	expect_isolated(head);
	debug_end();
}

static void damaged(void (*found)(enum context, unsigned int), s64 at, u8 byte, size_t n, const char *text)
{
	damage.at = at;
	damage.byte = byte;
	damage.n = n;
	damage.text = text;
	debug_everywhere(found);
}

TEST(slab_debug, behind, "a write behind an object in use is found by its free: which byte, what it is, how many")
{
	reports_begin();
	damaged(found_by_free, DEBUG_SIZE, 0x41, 1,
		"debugged: red zone behind the object: byte 24 is 41, not cc, 1 in all; slab isolated");
	damaged(found_by_free, DEBUG_SIZE + 2, 0, 3,
		"debugged: red zone behind the object: byte 26 is 00, not cc, 3 in all; slab isolated");
}

TEST(slab_debug, before, "so is a write before it")
{
	reports_begin();
	damaged(found_by_free, -1, 0x41, 1,
		"debugged: red zone before the object: byte -1 is 41, not cc, 1 in all; slab isolated");
	damaged(found_by_free, -8, 0xff, 8,
		"debugged: red zone before the object: byte -8 is ff, not cc, 8 in all; slab isolated");
}

TEST(slab_debug, free_behind, "a write around a free object is found by the allocation that would have been given it")
{
	reports_begin();
	damaged(found_by_alloc, DEBUG_SIZE + 7, 0xcc, 1,
		"debugged: red zone behind the object: byte 31 is cc, not bb, 1 in all; slab isolated");
	damaged(found_by_alloc, -3, 0, 2,
		"debugged: red zone before the object: byte -3 is 00, not bb, 2 in all; slab isolated");
}

TEST(slab_debug, poison, "so is a write into it, to its first byte, its last, or some in the middle")
{
	reports_begin();
	damaged(found_by_alloc, 0, 0x41, 1,
		"debugged: object was written to while it was free: byte 0 is 41, not 6b, 1 in all; slab isolated");
	damaged(found_by_alloc, 10, 1, 7,
		"debugged: object was written to while it was free: byte 10 is 01, not 6b, 7 in all; slab isolated");
	damaged(found_by_alloc, DEBUG_SIZE - 1, 0x6b, 1,
		"debugged: object was written to while it was free: byte 23 is 6b, not a5, 1 in all; slab isolated");
}

static void word_everywhere(enum context ctx, unsigned int cpu)
{
	char text[120];
	void *p;

	REQUIRE(debug_begin(SLAB_STORE_USER, NULL));
	p = debug_obj;
	debug_obj = NULL;
	debug_scribble(p, debug_cache->offset + 5, 0x20, 1);
	snprintf(text, sizeof(text), "debugged: the allocator's word behind the object: byte %u is 20, not 00, 1 in all; slab isolated",
		 debug_cache->offset + 5);
	debug_expect(debug_free, p, "kfree_nolock", p, ctx, cpu, text);
	expect_isolated(obj_slab(p));
	debug_end();
}

TEST(slab_debug, word, "a write over the allocator's own word is found by the free, without red zones too")
{
	reports_begin();
	debug_everywhere(word_everywhere);
}

static void twice_everywhere(enum context ctx, unsigned int cpu)
{
	void *p;

	REQUIRE(debug_begin(SLAB_CONSISTENCY_CHECKS, NULL));
	p = debug_obj;
	debug_obj = NULL;
	kmem_cache_free(debug_cache, p);
	debug_expect(debug_free, p, "kfree_nolock", p, ctx, cpu, "debugged that is free already (double free)");
	mark_set(p, debug_cache->offset, 0); /* as if in use: it lies in the chain, all the same */
	debug_expect(debug_free, p, "kfree_nolock", p, ctx, cpu, "debugged that is free already (double free)");
	EXPECT(!obj_slab(p)->isolated);
	debug_alloc(NULL);
	EXPECT(debug_got == p);
	debug_alloc(NULL);
	EXPECT(debug_got && debug_got != p);
	kmem_cache_free(debug_cache, debug_got);
	kmem_cache_free(debug_cache, p);
	debug_end();
}

TEST(slab_debug, twice, "a double free is told in every context, be the mark of the free object there or not")
{
	reports_begin();
	debug_everywhere(twice_everywhere);
}

/* Every address in the slab but the start of an object. */
static void wild_everywhere(enum context ctx, unsigned int cpu)
{
	char *p;

	REQUIRE(debug_begin(SLAB_DEBUG_FLAGS, NULL));
	p = debug_obj;
	for (s64 at = -(s64)debug_cache->red_left; at < (s64)(debug_cache->stride - debug_cache->red_left); at += 4)
		if (at)
			debug_expect(debug_free, p + at, "kfree_nolock", p + at, ctx, cpu, "not the start of an object");
	debug_end();
}

TEST(slab_debug, wild, "a free of what lies around an object, or in it, is reported without a look at it")
{
	reports_begin();
	debug_everywhere(wild_everywhere);
}

TEST(slab_debug, swallowed, "objects in use in an isolated slab can be used and freed, once, and are given to nobody")
{
	void *p;

	reports_begin();
	REQUIRE(debug_begin(SLAB_DEBUG_FLAGS, NULL));
	p = debug_obj;
	debug_obj = NULL;
	debug_scribble(p, -1, 0, 1);
	debug_expect(debug_free, p, "kfree_nolock", p, CTX_NMI, 0, "red zone before the object");
	debug_expect(debug_free, p, "kfree_nolock", p, CTX_DEBUG, 0, "double free");
	memset(debug_other, 0x77, DEBUG_SIZE);
	kmem_cache_free(debug_cache, debug_other);
	debug_expect(debug_free, debug_other, "kfree_nolock", debug_other, CTX_THREAD, 0, "double free");
	debug_other = NULL;
	expect_isolated(obj_slab(p));
	debug_end();
}

/* ---- what a group pays for ---- */

static u64 units_of(struct mem_cgroup *g)
{
	return load(&g->count) & WORD_VALUE;
}

/* Two objects of one slab, for which a group pays that nobody has any more: the first is
 * damaged at `at`, and its free finds that; the second comes back to an isolated slab. */
static void paid_in(enum context ctx, unsigned int cpu, unsigned int at, const char *text)
{
	struct mem_cgroup *g = mem_cgroup_create(NULL, "damaged"), *was = set_active_memcg(g);
	bool begun = debug_begin(SLAB_ACCOUNT | SLAB_RED_ZONE, NULL);
	void *p = debug_obj;

	set_active_memcg(was);
	REQUIRE(g && begun);
	mem_cgroup_put(g);
	EXPECT_EQ(units_of(g), 2 * object_units(debug_cache));
	debug_obj = NULL;
	debug_scribble(p, at, 0x20, 1);
	debug_expect(debug_free, p, "kfree_nolock", p, ctx, cpu, text);
	EXPECT_EQ(units_of(g), object_units(debug_cache));
	debug_expect(debug_free, p, "kfree_nolock", p, ctx, cpu, "double free");
	EXPECT_EQ(units_of(g), object_units(debug_cache));
	run_in(ctx, cpu, debug_free, debug_other);
	debug_other = NULL;
	EXPECT_EQ(units_of(g), 0);
	EXPECT(!(load(&g->life) & LIFE_LIVE));
	expect_isolated(obj_slab(p));
	debug_end();
}

static void paid_everywhere(enum context ctx, unsigned int cpu)
{
	paid_in(ctx, cpu, DEBUG_SIZE, "red zone behind the object");
	paid_in(ctx, cpu, DEBUG_SIZE + 8 + 5, "the allocator's word behind the object"); /* the red zone is 8 bytes */
}

TEST(slab_debug, paid, "an object that is damaged, or comes back to an isolated slab, is paid for no longer: its group ends")
{
	reports_begin();
	debug_everywhere(paid_everywhere);
}

/* ---- what is found by the full walk ---- */

TEST(slab_debug, walk, "mm_check looks at the bytes of free objects of debugged caches")
{
	void *p;

	REQUIRE(debug_begin(SLAB_RED_ZONE | SLAB_POISON, NULL));
	p = debug_obj;
	debug_obj = NULL;
	kmem_cache_free(debug_cache, p);
	EXPECT_EQ(mm_check(), 0);
	debug_scribble(p, 5, 0x6c, 1);
	EXPECT_EQ(mm_check(), 1);
	debug_scribble(p, 5, 0x6b, 1);
	debug_scribble(p, DEBUG_SIZE, 0xba, 1);
	EXPECT_EQ(mm_check(), 1);
	debug_scribble(p, DEBUG_SIZE, 0xbb, 1);
	debug_end();
}
