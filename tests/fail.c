/*
 * fail.c - fault injection: every knob does what it says, and every call that is told
 * NULL by it leaves all as it was. The runner counts the pages after each case; the
 * main job under failures by chance is a boot of its own (tools/run-tests.py).
 */
#include "lib/bits.h"
#include "mm/fail.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/pattern.h"
#include "tests/test.h"

#define CALLS 40

static void arm_slab(struct fail_knobs k, bool at_hand)
{
	struct fail_setup setup = { .layer = { [FAIL_SLAB] = k }, .seed = 7, .at_hand = at_hand };

	fail_arm(&setup);
}

static void arm_page(struct fail_knobs k, bool at_hand)
{
	struct fail_setup setup = { .layer = { [FAIL_PAGE] = k }, .seed = 7, .at_hand = at_hand };

	fail_arm(&setup);
}

static unsigned int bits(u64 map)
{
	return popcount32((u32)map) + popcount32((u32)(map >> 32));
}

/* Of CALLS calls one after the other, a bit for each that failed, from bit 1 on. */
static u64 failed_objects(size_t size)
{
	u64 failed = 0;

	for (unsigned int i = 1; i <= CALLS; i++) {
		void *p = kmalloc(size, GFP_KERNEL);

		failed |= (u64)!p << i;
		kfree(p);
	}
	return failed;
}

static u64 failed_pages(unsigned int order)
{
	u64 failed = 0;

	for (unsigned int i = 1; i <= CALLS; i++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);

		failed |= (u64)!page << i;
		free_pages(page, order);
	}
	return failed;
}

/* ---- which calls fail ---- */

static const struct fail_knobs at_7 = { .nth = 7 };
static const struct fail_knobs each_9 = { .interval = 9 };
static const struct fail_knobs always = { .per_million = FAIL_ALWAYS };
#define BITS_9 (1UL << 9 | 1UL << 18 | 1UL << 27 | 1UL << 36)
#define BITS_ALL (((1UL << CALLS) - 1) << 1)

/* With this knob these calls fail, of either layer, any size, and no others. */
static void expect_failed(struct fail_knobs k, u64 want)
{
	static const size_t sizes[] = { 8, 96, 1000, 8192 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		arm_slab(k, true);
		EXPECT_EQ(failed_objects(sizes[i]), want);
		EXPECT_EQ(fail_calls(FAIL_SLAB), CALLS);
		EXPECT_EQ(fail_injected(FAIL_SLAB), bits(want));
		fail_disarm();
	}
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		arm_page(k, true);
		EXPECT_EQ(failed_pages(order), want);
		EXPECT_EQ(fail_calls(FAIL_PAGE), CALLS);
		EXPECT_EQ(fail_injected(FAIL_PAGE), bits(want));
		fail_disarm();
	}
}

TEST(fail, nth, "the call named by its number fails, no other, whatever its size or order")
{
	expect_failed(at_7, 1UL << 7);
}

TEST(fail, interval, "the last of each so many calls fails")
{
	expect_failed(each_9, BITS_9);
	expect_failed((struct fail_knobs){ .interval = 9, .nth = 7 }, BITS_9 | 1UL << 7);
}

TEST(fail, chance, "by chance about as many fail as said; equal seeds give equal failures, others others")
{
	struct fail_setup setup = { .at_hand = true };
	u64 seen[4];
	unsigned int n = 0;

	expect_failed(always, BITS_ALL);
	setup.layer[FAIL_SLAB].per_million = FAIL_ALWAYS / 2;
	for (unsigned int i = 0; i < ARRAY_SIZE(seen); i++) {
		setup.seed = i / 2;
		fail_arm(&setup);
		seen[i] = failed_objects(64);
		fail_disarm();
		n += bits(seen[i]);
	}
	EXPECT_EQ(seen[0], seen[1]);
	EXPECT_EQ(seen[2], seen[3]);
	EXPECT(seen[0] != seen[2]);
	EXPECT(n > CALLS && n < 3 * CALLS); /* of 4 * CALLS */
}

/* ---- which calls are looked at ---- */

static void one_object(void *failed)
{
	void *p = kmalloc_nolock(64, 0, NUMA_NO_NODE);

	*(bool *)failed = !p;
	kfree_nolock(p);
}

static void one_page(void *failed)
{
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, 0);

	*(bool *)failed = !page;
	free_pages_nolock(page, 0);
}

static void expect_only_in(enum context only, void (*fn)(void *))
{
	for (unsigned int i = 0; i < 2 * NR_CONTEXT; i++) {
		enum context ctx = (enum context)(i / 2);
		bool failed = false;

		run_in(ctx, i & 1 ? num_online_cpus() - 1 : 0, fn, &failed);
		EXPECT_EQ(failed, ctx == only);
	}
}

TEST(fail, context, "only calls in the contexts that are named fail, on any CPU")
{
	for (unsigned int only = 0; only < NR_CONTEXT; only++) {
		struct fail_knobs k = { .per_million = FAIL_ALWAYS, .contexts = 1u << only };

		arm_slab(k, true);
		expect_only_in((enum context)only, one_object);
		EXPECT_EQ(fail_injected(FAIL_SLAB), 2);
		fail_disarm();
		arm_page(k, true);
		expect_only_in((enum context)only, one_page);
		EXPECT_EQ(fail_injected(FAIL_PAGE), 2);
		fail_disarm();
	}
}

TEST(fail, cache, "only objects of the cache that is named fail")
{
	struct kmem_cache *s = kmem_cache_create("fails", 64, 0, 0, NULL);
	void *p;

	REQUIRE(s != NULL);
	arm_slab((struct fail_knobs){ .per_million = FAIL_ALWAYS, .cache = "fails" }, true);
	EXPECT(!kmem_cache_alloc(s, GFP_KERNEL) && !kmem_cache_alloc_nolock(s, 0, 0));
	EXPECT_EQ(failed_objects(64), 0);
	fail_disarm();
	arm_slab((struct fail_knobs){ .per_million = FAIL_ALWAYS, .cache = "kmalloc-64" }, true);
	EXPECT_EQ(failed_objects(64), BITS_ALL);
	EXPECT_EQ(failed_objects(65), 0);
	p = kmem_cache_alloc(s, GFP_KERNEL);
	EXPECT(p != NULL);
	kmem_cache_free(s, p);
	fail_disarm();
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(fail, order, "only blocks of the orders that are named fail")
{
	for (unsigned int only = 0; only <= MAX_ORDER; only++) {
		arm_page((struct fail_knobs){ .per_million = FAIL_ALWAYS, .orders = 1u << only }, true);
		for (unsigned int order = 0; order <= MAX_ORDER; order++)
			EXPECT_EQ(failed_pages(order), order == only ? BITS_ALL : 0);
		fail_disarm();
	}
}

TEST(fail, at_hand, "without at_hand what the CPU has at hand is given; only the long ways fail")
{
	void *p;

	if (!needs_magazines(64))
		return;
	test_frees_at_once();
	kfree(kmalloc(64, GFP_KERNEL)); /* now there is one */
	arm_slab(always, false);
	EXPECT(!mm_tight);
	kfree(kmalloc(1024, GFP_NOWAIT)); /* fails: arming has flushed the magazines */
	EXPECT_EQ(fail_injected(FAIL_SLAB), 1);
	fail_disarm();
	p = kmalloc(64, GFP_KERNEL);
	arm_slab(always, false);
	kfree(p);
	EXPECT_EQ(failed_objects(64), 0);
	EXPECT_EQ(fail_calls(FAIL_SLAB), 0);
	fail_disarm();
}

TEST(fail, off, "disarmed, or armed without a knob: nothing fails, nothing is counted, everybody caches")
{
	struct fail_setup none = { .at_hand = true };
	u64 here = fail_injected_here();

	if (!needs_magazines(64))
		return;
	arm_page(always, true);
	EXPECT(mm_tight);
	fail_disarm();
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT(!mm_tight);
		EXPECT_EQ(failed_objects(64) | failed_pages(0) | failed_pages(9), 0);
		EXPECT(magazine_count(&caches[__kmalloc_class_of(64)], smp_processor_id()) > 0);
		fail_arm(&none);
	}
	fail_disarm();
	EXPECT_EQ(fail_injected_here(), here);
	EXPECT_EQ(fail_calls(FAIL_SLAB) + fail_calls(FAIL_PAGE), 0);
}

/* ---- callers that are told NULL ---- */

static void all_calls_fail(char *p)
{
	struct kmem_cache *s = &caches[1];

	EXPECT(!kmalloc(100, GFP_KERNEL) && !kzalloc(100, GFP_KERNEL) && !kmalloc_node(100, GFP_KERNEL, 0));
	EXPECT(!kmalloc_nolock(100, __GFP_ZERO, NUMA_NO_NODE) && !kmalloc_nolock(100, __GFP_THISNODE, 0));
	EXPECT(!kmem_cache_alloc(s, __GFP_ZERO) && !kmem_cache_alloc_nolock(s, 0, 0));
	EXPECT(!krealloc(p, 5000, GFP_KERNEL) && !krealloc(NULL, 100, GFP_KERNEL));
	EXPECT(krealloc(p, 10, GFP_KERNEL) == p);
	EXPECT(pattern_ok(p, 100));
}

static void all_page_calls_fail(char *p)
{
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		EXPECT(!alloc_pages(GFP_KERNEL, order));
		EXPECT(!alloc_pages_node(0, GFP_KERNEL | __GFP_ZERO, order));
		EXPECT(!alloc_pages_nolock(__GFP_THISNODE, 0, order));
		EXPECT(!alloc_frozen_pages_nolock(__GFP_ZERO, NUMA_NO_NODE, order));
	}
	EXPECT(!kmalloc(9000, GFP_KERNEL) && !kzalloc(1 << 20, GFP_KERNEL));
	EXPECT(!krealloc(p, 5 << 19, GFP_KERNEL));
	EXPECT(pattern_ok(p, 100));
}

TEST(fail, calls, "each call that is told NULL says NULL, leaves all as it was, and is no want of memory")
{
	struct mm_stats before, after;
	char *p = kmalloc(100, GFP_KERNEL);

	REQUIRE(p != NULL);
	pattern_fill(p, 100);
	mm_get_stats(&before);
	arm_slab(always, true);
	all_calls_fail(p);
	fail_disarm();
	mm_get_stats(&after);
	EXPECT_EQ(after.failures, before.failures);
	arm_page(always, true);
	all_page_calls_fail(p);
	fail_disarm();
	mm_get_stats(&after);
	EXPECT_EQ(after.spurious_failures, before.spurious_failures);
	kfree(p);
}

static struct kmem_cache *created;

static void create(void *unused)
{
	(void)unused;
	created = kmem_cache_create("fails", 200, 0, 0, NULL);
}

/* The k-th allocation in it fails, for each k, until there is no k-th. */
static unsigned int create_at_each_step(void (*arm)(struct fail_knobs k, bool at_hand))
{
	unsigned int failed = 0;

	for (u64 k = 1;; k++) {
		u64 reports = mm_reports();

		arm((struct fail_knobs){ .nth = k }, true);
		create(NULL);
		fail_disarm();
		EXPECT_EQ(mm_reports(), reports); /* want of memory is no bad call */
		EXPECT_EQ(mm_check(), 0);
		if (created && fail_injected(FAIL_SLAB) + fail_injected(FAIL_PAGE) == 0)
			break;
		failed += !created;
		if (created)
			EXPECT_EQ(kmem_cache_destroy(created), 0);
	}
	EXPECT_EQ(kmem_cache_destroy(created), 0);
	return failed;
}

TEST(fail, create,
     "a cache whose creation fails at any step is not there, without a report, and can be created afterwards")
{
	unsigned int failed;

	if (!needs_magazines(200))
		return;
	failed = create_at_each_step(arm_slab) + create_at_each_step(arm_page);
	EXPECT(failed > 0); /* its magazines: an object for few CPUs, else a block */
}

/* ---- slabs that cannot be made ---- */

static unsigned int constructed;

static void construct(void *obj)
{
	constructed++;
	pattern_fill(obj, 500);
}

static void *slab_objs[3 * MAX_SLAB_OBJECTS];

/* As many objects as three slabs have; each is as constructed. */
static unsigned int take_and_give(struct kmem_cache *s)
{
	unsigned int got = 0, want = 3 * s->objects;

	for (unsigned int i = 0; i < want; i++) {
		slab_objs[got] = kmem_cache_alloc(s, GFP_KERNEL);
		if (!slab_objs[got])
			continue;
		EXPECT(pattern_ok(slab_objs[got], 500));
		got++;
	}
	for (unsigned int i = 0; i < got; i++)
		kmem_cache_free(s, slab_objs[i]);
	return want - got;
}

static void check_new_slabs(struct kmem_cache *s, struct fail_knobs k, bool at_hand)
{
	u64 pages;

	mm_quiesce();
	pages = nr_free_pages();
	arm_page(k, at_hand);
	take_and_give(s);
	EXPECT(k.per_million != FAIL_ALWAYS || fail_injected(FAIL_PAGE) > 0);
	fail_disarm();
	EXPECT_EQ(take_and_give(s), 0);
	mm_quiesce();
	EXPECT_EQ(nr_free_pages(), pages);
	EXPECT_EQ(mm_check(), 0);
}

TEST(fail, new_slab, "when pages for a slab are refused, for any of its tries, none are lost and all goes on")
{
	struct kmem_cache *s = kmem_cache_create("fails", 500, 0, 0, construct);
	struct fail_knobs usual = always;

	REQUIRE(s != NULL);
	REQUIRE(s->order > s->min_order);
	for (u64 nth = 1; nth <= 12; nth++) {
		check_new_slabs(s, (struct fail_knobs){ .nth = nth }, false);
		check_new_slabs(s, (struct fail_knobs){ .nth = nth }, true);
	}
	for (unsigned int i = 0; i < 2; i++) {
		check_new_slabs(s, (struct fail_knobs){ .interval = 2 }, i);
		check_new_slabs(s, (struct fail_knobs){ .per_million = FAIL_ALWAYS / 2 }, i);
		check_new_slabs(s, always, i);
	}
	/* Where nobody keeps anything, slabs are small from the first. */
	usual.orders = 1u << s->order;
	check_new_slabs(s, usual, false);
	EXPECT(constructed > 0);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}
