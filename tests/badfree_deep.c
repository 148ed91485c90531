/*
 * badfree_deep.c - frees that are wrong and yet pass the checks of the public calls, as
 * two CPUs that free the same at the same instant do: the layers below notice. And calls
 * that are kept from ending their short ways, again and again.
 */
#include <arch/debug.h>
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/step.h"
#include "tests/test.h"

/* ---- what is free already ---- */

static struct page *page;
static unsigned int page_order;

static void get_and_free(void *unused)
{
	(void)unused;
	page = alloc_pages(GFP_KERNEL, page_order);
	if (page)
		free_pages(page, page_order);
}

static void give_again(void *unused)
{
	(void)unused;
	page_free_block(page, page_order, PT_BLOCK);
}

/* By the CPU that freed it: what another keeps is not seen below the public calls. */
static void block_twice_in(enum context ctx, unsigned int cpu, void *unused)
{
	struct bad_call b = { give_again, NULL, "free_pages", NULL, "free already" };

	(void)unused;
	run_in(CTX_THREAD, cpu, get_and_free, NULL);
	REQUIRE(page != NULL);
	b.ptr = page_address(page);
	expect_bad_in(&b, ctx, cpu);
}

TEST(badfree, block_twice_below,
     "a block that is free already is not given back once more, whatever its order, in each context")
{
	reports_begin();
	for (page_order = 0; page_order <= MAX_ORDER; page_order++) {
		each_place(ALL_PLACES, block_twice_in, NULL);
		EXPECT_EQ(mm_check(), 0);
	}
}

static struct kmem_cache *cache;
static void *object;

/* A new cache, an object of which lies in the magazine of the CPU that runs this. */
static void cache_and_object(void *name)
{
	cache = kmem_cache_create(name, 64, 0, 0, NULL);
	object = cache ? kmem_cache_alloc(cache, GFP_KERNEL) : NULL;
	if (object)
		kmem_cache_free(cache, object);
}

static void put_again(void *unused)
{
	(void)unused;
	slab_put(cache, &object, 1);
}

TEST(badfree, object_twice_below, "a slab whose objects are all free takes none, in each context")
{
	struct bad_call b = { put_again, NULL, "free", NULL, "double free" };

	reports_begin();
	test_frees_at_once();
	cache_and_object("twice");
	REQUIRE(object != NULL);
	magazine_flush(cache, ~0UL);
	b.ptr = object;
	expect_bad(&b, ALL_PLACES);
	EXPECT_EQ(mm_check(), 0);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void flush(void *unused)
{
	(void)unused;
	magazine_flush(cache, ~0UL);
}

static void written_in(enum context ctx, unsigned int cpu, void *unused)
{
	struct bad_call b = { flush, NULL, "slab", NULL, "was written to" };

	(void)unused;
	run_in(CTX_THREAD, cpu, cache_and_object, "written");
	REQUIRE(object != NULL);
	mark_set(object, cache->offset, 0);
	b.ptr = object;
	expect_bad_in(&b, ctx, cpu);
	EXPECT_EQ(mm_check(), 0);
	in_use_again(cache, object);
	kmem_cache_free(cache, object); /* as it says that it is in use */
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(badfree, written_in_magazine,
     "an object that was written to while it lay in a magazine is not put into its slab, in each context")
{
	if (!needs_magazines(64))
		return;
	reports_begin();
	test_frees_at_once();
	each_place(ALL_PLACES, written_in, NULL);
}

/* ---- interrupted at each instruction ---- */

#define MANY 8
static void *objs[MANY];
static u64 went;

static bool disturbing = true;

/* A step that is not said to leave all alone sends the sequence that it is in back. */
static void disturb(struct regs *r)
{
	(void)r;
	if (!disturbing)
		arch_debug_undisturbed();
}

static void pop_many(void *unused)
{
	(void)unused;
	went = magazine_pop_many(cache, objs, MANY);
}

static void push_many(void *unused)
{
	(void)unused;
	went = magazine_push_many(cache, objs, MANY);
}

TEST(badfree, sequences_give_up,
     "a magazine that is disturbed at each instruction is left alone, in bounded time")
{
	if (!needs_magazines(64))
		return;
	if (!step_possible())
		return;
	cache = kmem_cache_create("disturbed", 64, 0, 0, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i < 2; i++) /* the slab is new, then it is taken from */
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	kmem_cache_free(cache, objs[0]);
	kmem_cache_free(cache, objs[1]);
	REQUIRE(magazine_count(cache, smp_processor_id()) > MANY);
	step_through(pop_many, NULL, disturb);
	EXPECT_EQ(went, 0);
	pop_many(NULL);
	EXPECT_EQ(went, MANY);
	step_through(push_many, NULL, disturb);
	EXPECT_EQ(went, 0);
	push_many(NULL);
	EXPECT_EQ(went, MANY);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* With interrupts off, so that nobody else serves it. */
static void defer_and_serve(void *unused)
{
	u64 flags = arch_irq_save();

	(void)unused;
	disturbing = false;
	EXPECT(defer_free(object));
	disturbing = true;
	EXPECT_EQ(defer_serve(), 0);
	EXPECT_EQ(defer_count(smp_processor_id()), 1);
	arch_irq_restore(flags);
}

TEST(badfree, serving_gives_up,
     "a service of deferred frees that is disturbed at each instruction is put off again")
{
	if (!needs_magazines(64))
		return;
	if (!step_possible())
		return;
	cache = kmem_cache_create("disturbed", 64, 0, 0, NULL);
	REQUIRE(cache != NULL);
	object = kmem_cache_alloc(cache, GFP_KERNEL);
	REQUIRE(object != NULL);
	mark_set(object, cache->offset, free_mark);
	step_through(defer_and_serve, NULL, disturb);
	defer_free_barrier();
	EXPECT_EQ(defer_count(smp_processor_id()), 0);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- a free in the middle of a look at a hint ---- */

static u64 hint_line;
static bool given;

static void recheck(void *unused)
{
	(void)unused;
	hint_recheck(HINT_ANY, hint_line);
}

/* As soon as the hint is gone a page comes back to the line. */
static void give_when_cleared(struct regs *r)
{
	(void)r;
	if (!given && !hint_test(HINT_ANY, hint_line)) {
		given = true;
		EXPECT(word_give(hint_line * LINE_WORDS, 1));
	}
}

TEST(badfree, hint_recheck, "a page that is freed while a search clears its line's hint keeps the hint")
{
	if (!step_possible())
		return;
	page = alloc_pages(GFP_KERNEL, MAX_ORDER);
	REQUIRE(page != NULL);
	hint_line = page_to_pfn(page) >> LINE_SHIFT;
	line_split(hint_line);
	hint_set(HINT_ANY, hint_line);
	given = false;
	step_through(recheck, NULL, give_when_cleared);
	EXPECT(given);
	EXPECT(hint_test(HINT_ANY, hint_line));
	EXPECT_EQ(word_take_all(hint_line * LINE_WORDS, 0), 1);
	free_pages(page, MAX_ORDER);
}
