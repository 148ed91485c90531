/*
 * bulk.c - many objects at once (mm/bulk.c): exact numbers, from every context; all or
 * none; what is wrong among them is reported, and the rest is done.
 */
#include <arch/irq.h>
#include "lib/string.h"
#include "mm/cache.h"
#include "mm/fail.h"
#include "tests/badcall.h"
#include "tests/ballast.h"
#include "tests/pattern.h"
#include "tests/test.h"

#define MOST 1500

static void *objs[MOST], *copy[MOST];
static struct kmem_cache *cache;

struct job {
	bool nolock, irqs_off;
	unsigned int way; /* of freeing */
	size_t n;
};

/* ---- exact numbers, every context ---- */

static void expect_distinct(size_t n)
{
	for (size_t i = 0; i < n; i++) {
		EXPECT(objs[i] && ksize(objs[i]) == kmem_cache_size(cache));
		pattern_fill(objs[i], kmem_cache_size(cache));
	}
	for (size_t i = 0; i < n; i++)
		EXPECT(pattern_ok(objs[i], kmem_cache_size(cache)));
}

static void free_all(const struct job *j, size_t n)
{
	if (j->way == 0 && j->nolock)
		kmem_cache_free_bulk_nolock(cache, n, objs);
	else if (j->way == 0)
		kmem_cache_free_bulk(cache, n, objs);
	else if (j->nolock)
		kfree_bulk_nolock(n, objs);
	else
		kfree_bulk(n, objs);
}

static void get_and_put(void *arg)
{
	const struct job *j = arg;
	u64 flags = j->irqs_off ? arch_irq_save() : 0;
	size_t got = j->nolock ? kmem_cache_alloc_bulk_nolock(cache, 0, NUMA_NO_NODE, j->n, objs) :
				 kmem_cache_alloc_bulk(cache, GFP_KERNEL, j->n, objs);

	EXPECT_EQ(got, j->n);
	if (got == j->n) {
		expect_distinct(got);
		free_all(j, got);
	}
	if (j->irqs_off)
		arch_irq_restore(flags);
}

static const size_t numbers[] = { 0, 1, 2, 31, 32, 33, 64, 100, 511, MOST };

static void in_context(enum context ctx, bool irqs_off)
{
	struct job j = { .irqs_off = irqs_off };

	for (unsigned int i = 0; i < ARRAY_SIZE(numbers); i++)
		for (unsigned int k = 0; k < 4; k++) {
			j.n = numbers[i];
			j.way = k & 1;
			j.nolock = k & 2;
			if (!j.nolock && (ctx == CTX_NMI || ctx == CTX_DEBUG))
				continue;
			run_in(ctx, k ? num_online_cpus() - 1 : 0, get_and_put, &j);
		}
}

static void make_nothing(void *obj)
{
	(void)obj;
}

TEST(bulk, every_context, "any number of objects, all of them different, and back by each call, in every context")
{
	static const size_t sizes[] = { 8, 48, 64, 100, 520 };

	for (unsigned int i = 0; i < 2 * ARRAY_SIZE(sizes); i++) {
		cache = kmem_cache_create("bulk", sizes[i / 2], 0, 0, i % 2 ? make_nothing : NULL);
		REQUIRE(cache != NULL);
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
			in_context((enum context)ctx, false);
		in_context(CTX_THREAD, true);
		EXPECT_EQ(kmem_cache_destroy(cache), 0); /* not one is in use */
	}
}

TEST(bulk, array_kept, "a free of many leaves the array as it was")
{
	cache = kmem_cache_create("bulk", 40, 0, 0, NULL);
	REQUIRE(cache && kmem_cache_alloc_bulk(cache, GFP_KERNEL, MOST, objs) == MOST);
	memcpy(copy, objs, sizeof(objs));
	kmem_cache_free_bulk(cache, MOST, objs);
	for (unsigned int i = 0; i < MOST; i++)
		EXPECT(copy[i] == objs[i]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- contents ---- */

TEST(bulk, zero, "__GFP_ZERO clears each of many objects, after dirty frees")
{
	cache = kmem_cache_create("bulk", 72, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int round = 0; round < 2; round++) {
		REQUIRE(kmem_cache_alloc_bulk(cache, GFP_KERNEL | __GFP_ZERO, 700, objs) == 700);
		for (unsigned int i = 0; i < 700; i++) {
			for (unsigned int k = 0; k < 72; k++)
				EXPECT_EQ(((char *)objs[i])[k], 0);
			memset(objs[i], 0xff, 72);
		}
		kmem_cache_free_bulk(cache, 700, objs);
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void build(void *obj)
{
	pattern_fill(obj, 56);
}

TEST(bulk, constructed, "many objects keep what their constructor made, through every way back")
{
	cache = kmem_cache_create("bulk", 56, 0, 0, build);
	REQUIRE(cache != NULL);
	for (unsigned int round = 0; round < 4; round++) {
		size_t n = kmem_cache_alloc_bulk(cache, GFP_KERNEL | __GFP_ZERO, MOST, objs);

		REQUIRE(n == MOST);
		for (unsigned int i = 0; i < MOST; i++)
			EXPECT(pattern_ok(objs[i], 56));
		free_all(&(struct job){ .way = round & 1, .nolock = round & 2 }, MOST);
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void *mixed_one(unsigned int i)
{
	switch (i % 6) {
	case 0: return kmalloc(64, GFP_KERNEL);
	case 1: return kmalloc(20000, GFP_KERNEL);
	case 2: return page_address(alloc_pages(GFP_KERNEL, i % 5));
	case 3: return NULL;
	case 4: return kmem_cache_alloc(cache, GFP_KERNEL);
	default: return i % 12 == 5 ? kmalloc(64, GFP_KERNEL) : ZERO_SIZE_PTR;
	}
}

static void free_mixed(void *arg)
{
	const struct job *j = arg;

	free_all(j, j->n);
}

TEST(bulk, mixed, "kfree_bulk takes objects of any cache, blocks, pages, NULL and size 0 mixed, in every context")
{
	struct job j = { .way = 1, .nolock = true, .n = 120 };

	cache = kmem_cache_create("bulk", 40, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		for (unsigned int i = 0; i < j.n; i++)
			objs[i] = mixed_one(i);
		run_in((enum context)ctx, num_online_cpus() - 1, free_mixed, &j);
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- all or none ---- */

static void expect_none(void *arg)
{
	const struct job *j = arg;

	EXPECT_EQ(kmem_cache_alloc_bulk_nolock(cache, 0, NUMA_NO_NODE, j->n, objs), 0);
}

TEST(bulk, injected, "if one object of many is refused none is had, and all are back, in every context")
{
	struct job j = { .n = 300 };
	struct fail_setup setup = { .seed = 7, .at_hand = true };

	cache = kmem_cache_create("bulk", 40, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (u64 nth = 1; nth <= j.n; nth += 60) {
			setup.layer[FAIL_SLAB] = (struct fail_knobs){ .nth = nth, .cache = "bulk" };
			fail_arm(&setup);
			run_in((enum context)ctx, num_online_cpus() - 1, expect_none, &j);
			EXPECT_EQ(fail_injected(FAIL_SLAB), 1);
			fail_disarm();
			EXPECT_EQ(cache_in_use(cache, NULL, 0), 0);
		}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void expect_as_many(void *arg)
{
	const struct job *j = arg;

	EXPECT_EQ(kmem_cache_alloc_bulk_nolock(cache, 0, NUMA_NO_NODE, j->n + 1, objs), 0);
	EXPECT_EQ(kmem_cache_alloc_bulk_nolock(cache, 0, NUMA_NO_NODE, j->n, objs), j->n);
}

TEST(bulk, last_object, "at the end of memory as many as are left can be had, to the last, and not one more")
{
	struct job j = { .n = 0 };

	cache = kmem_cache_create("bulk", 512, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		void *kept;

		ballast_take_all();
		kept = kmem_cache_alloc(cache, GFP_KERNEL);
		EXPECT(!kept);
		ballast_give();
		kept = kmem_cache_alloc(cache, GFP_KERNEL);
		ballast_take_all();
		for (j.n = 0; j.n < MOST && (copy[j.n] = kmem_cache_alloc(cache, GFP_KERNEL)); j.n++)
			;
		kmem_cache_free_bulk(cache, j.n, copy);
		if (j.n)
			run_in((enum context)ctx, num_online_cpus() - 1, expect_as_many, &j);
		kmem_cache_free_bulk(cache, j.n, objs);
		test_note("%s: %lu objects were left", context_name((enum context)ctx), (u64)j.n);
		EXPECT(j.n > 0);
		ballast_give();
		kmem_cache_free(cache, kept);
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- what is wrong ---- */

static void *three[3];

static void call_kfree_bulk(void *p)
{
	kfree_bulk(3, p);
}

static void call_kfree_bulk_nolock(void *p)
{
	kfree_bulk_nolock(3, p);
}

static void call_cache_bulk(void *p)
{
	kmem_cache_free_bulk(cache, 3, p);
}

static void call_cache_bulk_nolock(void *p)
{
	kmem_cache_free_bulk_nolock(cache, 3, p);
}

/* Good, bad, good: one report, the good ones are free. New ones for each call. */
static void expect_middle_bad(const char *call, void (*fn)(void *), unsigned int contexts, void *bad, const char *word)
{
	struct bad_call b = { fn, three, call, bad, word };
	unsigned int last = num_online_cpus() - 1;

	for (unsigned int k = 0; k < 2 * NR_CONTEXT; k++) {
		if (!(contexts >> k / 2 & 1) || (k % 2 && !last))
			continue;
		three[0] = kmem_cache_alloc(cache, GFP_KERNEL);
		three[1] = bad ? bad : three[0];
		three[2] = kmem_cache_alloc(cache, GFP_KERNEL);
		b.ptr = three[1];
		expect_bad_in(&b, (enum context)(k / 2), k % 2 ? last : 0);
	}
}

static void expect_all_middle_bad(void *bad, const char *word, const char *word_by_cache)
{
	expect_middle_bad("kfree_bulk", call_kfree_bulk, CALL_CONTEXTS, bad, word);
	expect_middle_bad("kfree_bulk_nolock", call_kfree_bulk_nolock, ALL_CONTEXTS, bad, word);
	expect_middle_bad("kmem_cache_free_bulk", call_cache_bulk, CALL_CONTEXTS, bad, word_by_cache);
	expect_middle_bad("kmem_cache_free_bulk_nolock", call_cache_bulk_nolock, ALL_CONTEXTS, bad, word_by_cache);
}

TEST(bulk, bad_among, "a bad pointer among others, or one twice, is one report, and the others are freed")
{
	char *used;

	reports_begin();
	cache = kmem_cache_create("bulk", 40, 0, 0, NULL);
	used = kmem_cache_alloc(cache, GFP_KERNEL);
	REQUIRE(cache && used);
	expect_all_middle_bad(NULL, "double free", "double free");
	expect_all_middle_bad(used + 8, "not the start", "not the start");
	expect_all_middle_bad((void *)0x1230, "not an address of managed memory", "no object of a slab");
	kmem_cache_free(cache, used);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void call_alloc_bulk(void *arg)
{
	(void)arg;
	EXPECT_EQ(kmem_cache_alloc_bulk_nolock(cache, 1u << 31, NUMA_NO_NODE, 3, objs), 0);
}

static void call_alloc_node(void *arg)
{
	(void)arg;
	EXPECT_EQ(kmem_cache_alloc_bulk_nolock(cache, 0, 99, 3, objs), 0);
}

static void call_no_cache(void *arg)
{
	EXPECT_EQ(kmem_cache_alloc_bulk_nolock(arg, 0, NUMA_NO_NODE, 3, objs), 0);
}

static void call_free_no_cache(void *arg)
{
	kmem_cache_free_bulk_nolock(arg, 3, objs);
}

TEST(bulk, bad_arguments, "bad flags, nodes and caches are reported in every context, and nothing is done")
{
	struct bad_call flags = { call_alloc_bulk, NULL, "kmem_cache_alloc_bulk_nolock", NULL, "unknown gfp flags" };
	struct bad_call node = { call_alloc_node, NULL, "kmem_cache_alloc_bulk_nolock", NULL, "node 99" };
	struct bad_call none = { call_no_cache, objs, "kmem_cache_alloc_bulk_nolock", objs, "not a cache" };
	struct bad_call free_none = { call_free_no_cache, objs, "kmem_cache_free_bulk_nolock", objs, "not a cache" };

	reports_begin();
	cache = kmem_cache_create("bulk", 40, 0, 0, NULL);
	REQUIRE(cache != NULL);
	expect_bad(&flags, ALL_CONTEXTS);
	expect_bad(&node, ALL_CONTEXTS);
	expect_bad(&none, ALL_CONTEXTS);
	expect_bad(&free_none, ALL_CONTEXTS);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
