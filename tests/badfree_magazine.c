/*
 * badfree_magazine.c - free objects that lie in a magazine and are written to, or lie
 * there twice: nobody gets one, it is reported once, and the others are as before.
 */
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/test.h"

#define NR 4 /* [0] stays in use, the others go into the magazine, the last one first out */

static struct kmem_cache *cache;
static void *objs[NR], *got[NR];

static void construct(void *obj)
{
	*(u64 *)obj = 0x600d600d;
}

static void fill(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < NR; i++)
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	magazine_flush(cache, ~0UL);
	for (unsigned int i = 1; i < NR; i++)
		kmem_cache_free(cache, objs[i]);
}

/* They lie in that CPU's magazine. */
static bool begin_on(unsigned int cpu, size_t size, bool ctor)
{
	test_frees_at_once();
	cache = kmem_cache_create("magazine", size, 0, 0, ctor ? construct : NULL);
	if (!cache)
		return false;
	run_in(CTX_THREAD, cpu, fill, NULL);
	return objs[0] && magazine_count(cache, cpu) == NR - 1;
}

/* The object that nobody gets is given back for the sake of the page count. */
static void end(void *lost)
{
	mark_set(lost, cache->offset, free_mark);
	in_use_again(cache, lost);
	kmem_cache_free(cache, lost);
	kmem_cache_free(cache, objs[0]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

static void take_three(void *unused)
{
	(void)unused;
	for (unsigned int i = 1; i < NR; i++) {
		got[i] = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE);
		EXPECT(got[i] != NULL);
		if (got[i])
			memset(got[i], 0, 8); /* who finds it again looks at it: known, says Valgrind */
	}
}

static void give_three(void)
{
	for (unsigned int i = 1; i < NR; i++)
		kmem_cache_free(cache, got[i]);
}

static unsigned int times_got(const void *p)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i < NR; i++)
		n += got[i] == p;
	return n;
}

/* Takes three, one of which is not to be had as it is. */
static void take_in(enum context ctx, unsigned int cpu, const void *bad, unsigned int times, const char *word)
{
	struct bad_call b = { take_three, NULL, "slab", bad, word };

	expect_bad_in(&b, ctx, cpu);
	EXPECT_EQ(times_got(bad), times);
	give_three();
}

/* Whichever of them it is, and also if it is the only one that is asked for. */
static void written_and_taken(enum context ctx, unsigned int cpu, size_t size, bool ctor, unsigned int i)
{
	REQUIRE(begin_on(cpu, size, ctor));
	mark_set(objs[i], cache->offset, 0x12345678);
	take_in(ctx, cpu, objs[i], 0, "was written to");
	end(objs[i]);
}

static void written_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	for (unsigned int i = 1; i < NR; i++)
		written_and_taken(ctx, cpu, 72, i & 1, i);
}

TEST(badfree, magazine_written,
     "a free object in a magazine that was written to is not given out: of each size, and in each context")
{
	static const size_t sizes[] = { 8, 16, 64, 72, 96, 200, 1024, 5000 };

	if (!needs_magazines(64))
		return;
	reports_begin();
	for (unsigned int k = 0; k < ARRAY_SIZE(sizes); k++)
		for (unsigned int i = 1; i < NR; i++) {
			written_and_taken(CTX_THREAD, 0, sizes[k], false, i);
			written_and_taken(CTX_THREAD, 0, sizes[k], true, i);
		}
	each_place(ALL_PLACES, written_in, NULL);
}

static void flush(void *unused)
{
	(void)unused;
	kmem_cache_shrink(cache);
}

/* It is looked at where it lies: here, or in an interrupt of the other CPU. */
static void written_and_flushed(unsigned int cpu, unsigned int i)
{
	char where[40];

	REQUIRE(begin_on(cpu, 72, i & 1));
	mark_set(objs[i], cache->offset, 0);
	snprintf(where, sizeof(where), "on CPU %u in %s: free object", cpu, context_name(cpu ? CTX_IRQ : CTX_THREAD));
	expect_reports_here(flush, NULL, 1, where);
	EXPECT_EQ(ST_FREE(obj_slab(objs[i])->state), cache->objects - 2);
	end(objs[i]);
}

TEST(badfree, magazine_written_flush, "nor does it go back into its slab")
{
	unsigned int last = num_online_cpus() - 1;

	if (!needs_magazines(64))
		return;
	reports_begin();
	for (unsigned int i = 1; i < NR; i++) {
		written_and_flushed(0, i);
		if (last)
			written_and_flushed(last, i);
	}
}

static void push(void *obj)
{
	EXPECT(magazine_push(cache, obj));
}

static void twice_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	for (unsigned int i = 2; i < NR; i++) { /* [1] lies so deep that three do not reach it */
		REQUIRE(begin_on(cpu, 64, false));
		run_in(CTX_THREAD, cpu, push, objs[i]);
		take_in(ctx, cpu, objs[i], 1, "freed twice");
		kmem_cache_shrink(cache);
		kmem_cache_free(cache, objs[0]);
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
	}
}

/* As two CPUs can bring about that free it at the very same instant. */
TEST(badfree, magazine_twice,
     "an object that lies in a magazine twice is given out once, as long as it is in use, in each context")
{
	if (!needs_magazines(64))
		return;
	reports_begin();
	each_place(ALL_PLACES, twice_in, NULL);
}
