/*
 * badfree.c - what has been freed must not be freed again: in whatever place the
 * object waits, each second free is reported once, with call, pointer, CPU and
 * context, has no effect, and the object is given out once.
 *
 * Every bad call is made in each context that may make it, on the first and the
 * last CPU (badcall.h). Pointers that never were allocated: badfree_wild.c.
 */
#include <arch/cpu.h>
#include "mm/internal.h"
#include "lib/string.h"
#include "tests/badcall.h"
#include "lib/string.h"
#include "tests/keep.h"
#include "tests/test.h"

static struct kmem_cache *cache;

static bool cache_begin(size_t size)
{
	reports_begin();
	cache = kmem_cache_create("badfree", size, 0, 0, NULL);
	EXPECT(cache != NULL);
	return cache;
}

static void cache_end(void)
{
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- freed before ---- */

static const size_t sizes[] = { 1, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192 };

/* What was freed once is given out once. */
static void expect_given_once(const void *freed, size_t size)
{
	void *p[3];
	unsigned int times = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = kmalloc(size, GFP_KERNEL);
		times += p[i] == freed;
	}
	EXPECT(times <= 1);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		kfree(p[i]);
}

TEST(badfree, twice,
     "a second free at once, of an object of any size, is reported, and so is its use; it is given out once")
{
	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		void *p = kmalloc(sizes[i], GFP_KERNEL);

		REQUIRE(p != NULL);
		kfree(p);
		expect_bad_frees(p, "double free");
		expect_bad_looks(p, "free already");
		expect_given_once(p, sizes[i]);
	}
}

TEST(badfree, twice_large, "a second free of a block of pages of any order is reported")
{
	reports_begin();
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages(GFP_KERNEL, order);
		void *p = kmalloc(PAGE_SIZE << order, GFP_KERNEL);

		REQUIRE(page != NULL && p != NULL);
		free_pages(page, order);
		expect_bad_frees(page_address(page), "not an allocated object");
		kfree(p);
		if (order > 1) /* else an object of a cache */
			expect_bad_frees(p, "not an allocated object");
	}
}

TEST(badfree, twice_by_cache, "a second free of an object of a cache is reported, by every call")
{
	void *p, *q;

	REQUIRE(cache_begin(72));
	p = kmem_cache_alloc(cache, GFP_KERNEL);
	q = kmem_cache_alloc(cache, GFP_KERNEL); /* keeps the slab */
	REQUIRE(p != NULL && q != NULL);
	kmem_cache_free(cache, p);
	expect_bad_frees(p, "double free");
	expect_bad_cache_frees(cache, p, "double free");
	kmem_cache_free(cache, q);
	cache_end();
}

static struct kmem_cache *cache_of(const void *p)
{
	return cache_at(page_cpu_off(obj_slab(p)));
}

static void free_here(void *p)
{
	kfree(p);
}

TEST(badfree, twice_other_cpu, "a free of what another CPU has freed and still keeps is reported")
{
	void *p;

	if (!needs_magazines(256))
		return;
	reports_begin();
	test_frees_at_once();
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		p = kmalloc(256, GFP_KERNEL);
		REQUIRE(p != NULL);
		run_in(CTX_THREAD, cpu, free_here, p);
		EXPECT(mm_tight || magazine_holds(cache_of(p), cpu, p));
		expect_bad_frees(p, "double free");
	}
}

TEST(badfree, twice_in_slab,
     "a free of what lies in its slab's chain is reported; so it is when the slab is gone")
{
	void *p = NULL, *q, *chained[4];

	REQUIRE(cache_begin(72));
	q = kmem_cache_alloc(cache, GFP_KERNEL);
	for (unsigned int i = 0; i < ARRAY_SIZE(chained); i++)
		chained[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	REQUIRE(q != NULL && chained[3] != NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(chained); i++)
		kmem_cache_free(cache, chained[i]);
	kmem_cache_shrink(cache);
	EXPECT(obj_slab(q)->type == PT_SLAB);
	/* Wherever in the chain: the slab has others, which have never been used. */
	for (unsigned int i = 0; i < slab_objects(cache, obj_slab(q)->order); i++) {
		p = slab_object(cache, obj_slab(q), i);
		if (p == q)
			continue;
		expect_bad_frees(p, "double free");
		expect_bad_cache_frees(cache, p, "double free");
	}
	kmem_cache_free(cache, q);
	kmem_cache_shrink(cache);
	EXPECT(obj_slab(p)->type == PT_NONE);
	expect_bad_frees(p, "not an allocated object");
	expect_bad_cache_frees(cache, p, "no object of a slab");
	cache_end();
}

static void free_nolock_here(void *p)
{
	kfree_nolock(p);
}

/* ---- freed before, and deferred ---- */

static void *held[MAG_SLOTS + 1];

/* This CPU's magazine is full, and one more lies on the deferral stack. */
static void *defer_one(void)
{
	u32 n = cache->limit + 1;

	for (u32 i = 0; i < n; i++) {
		held[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!held[i]) {
			EXPECT(held[i] != NULL);
			return NULL;
		}
	}
	magazine_flush(cache, ~0UL);
	for (u32 i = 0; i < n - 1; i++)
		kmem_cache_free(cache, held[i]);
	EXPECT_EQ(magazine_count(cache, 0), cache->limit);
	run_in(CTX_NMI, 0, free_nolock_here, held[n - 1]);
	return held[n - 1];
}

TEST(badfree, twice_deferred, "a free of what waits on the deferral stack is reported; it is given out once")
{
	struct bad_call b = { free_nolock_here, NULL, "kfree_nolock", NULL, "double free" };
	u64 flags;
	void *p;

	if (!needs_magazines(72))
		return;
	test_frees_at_once();
	REQUIRE(cache_begin(72));
	flags = arch_irq_save(); /* nobody serves it */
	p = defer_one();
	EXPECT(p && defer_holds(0, p));
	b.arg = p;
	b.ptr = p;
	expect_bad_in(&b, CTX_THREAD, 0);
	expect_bad_in(&b, CTX_NMI, 0);
	expect_bad_in(&b, CTX_DEBUG, 0);
	arch_irq_restore(flags);
	defer_free_barrier();
	EXPECT(p && !defer_holds(0, p));
	cache_end();
}

static void constructor(void *obj)
{
	memset(obj, 0, 64);
}

/* Else each of its frees would take the closer look, and a second hand-out go unseen. */
TEST(badfree, mark_gone, "an object in use has no mark, from whatever place and by whichever call it came")
{
	struct kmem_cache *made = kmem_cache_create("made", 64, 0, 0, constructor);
	void *p;

	REQUIRE(made != NULL);
	for (unsigned int i = 0; i < 3; i++) { /* of a new slab, of the magazine */
		p = kmem_cache_alloc(made, GFP_KERNEL);
		EXPECT(p && mark_get(p, made->offset) != free_mark);
		kmem_cache_free(made, p);
		p = kmalloc_nolock(64, 0, NUMA_NO_NODE);
		EXPECT(p && mark_get(p, 0) != free_mark);
		kfree_nolock(p);
		p = kmalloc_nolock(64, 0, 0); /* of a slab's chain */
		EXPECT(p && mark_get(p, 0) != free_mark);
		kfree_nolock(p);
	}
	EXPECT_EQ(kmem_cache_destroy(made), 0);
}

TEST(badfree, mark_written, "an object whose user wrote the mark of a free one into it is freed all the same")
{
	for (unsigned int i = 1; i < ARRAY_SIZE(sizes); i++) {
		u32 *p = kmalloc(sizes[i], GFP_KERNEL);

		REQUIRE(p != NULL);
		p[0] = p[1] = free_mark;
		kfree(p);
	}
}

/* Looked at with the shadow, the second free is seen at once, and then the write. */
static void twice_after_write_seen(void *p, void *a, void *b)
{
	EXPECT(a != p && b != p && a != b);
	in_use_again(cache_of(p), p);
	kfree(p);
}

TEST(badfree, twice_after_write, "an object freed, written to and freed again is reported, and never has two owners")
{
	u64 flags, zeros = 0;
	void *p, *a, *b;

	if (!needs_magazines(64))
		return;
	flags = arch_irq_save();
	p = kmalloc(64, GFP_NOWAIT);
	REQUIRE(p != NULL);
	test_expect_reports(CONFIG_KASAN ? 2 : 1);
	test_frees_at_once();
	kfree(p);
	stray_write(p, &zeros, 8); /* the mark goes, so the second free looks like a first */
	kfree(p);
	a = kmalloc(64, GFP_NOWAIT);
	if (a)
		memset(a, 0, 8); /* the second kmalloc looks at it: Valgrind wants that to be known */
	b = kmalloc(64, GFP_NOWAIT);
	EXPECT(b != NULL);
	if (CONFIG_KASAN)
		twice_after_write_seen(p, a, b);
	else
		EXPECT(a == p && b != p);
	arch_irq_restore(flags);
	kfree(a);
	kfree(b);
}
