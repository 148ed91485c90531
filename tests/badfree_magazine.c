/*
 * badfree_magazine.c - free objects that lie in a magazine and are written to, or lie
 * there twice: nobody gets one, it is reported once, and the others are as before.
 */
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

static bool begin(size_t size, bool ctor)
{
	bool ok = true;

	test_frees_at_once();
	cache = kmem_cache_create("magazine", size, 0, 0, ctor ? construct : NULL);
	if (!cache)
		return false;
	for (unsigned int i = 0; i < NR; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		ok &= objs[i] != NULL;
	}
	magazine_flush(cache, ~0UL);
	for (unsigned int i = 1; i < NR; i++)
		kmem_cache_free(cache, objs[i]);
	return ok && magazine_count(cache, 0) == NR - 1;
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
		got[i] = kmem_cache_alloc(cache, GFP_KERNEL);
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

/* Whichever of them it is, and also if it is the only one that is asked for. */
static void written_and_taken(size_t size, bool ctor, unsigned int i)
{
	REQUIRE(begin(size, ctor));
	mark_set(objs[i], cache->offset, 0x12345678);
	expect_reports_here(take_three, NULL, 1, "was written to");
	EXPECT_EQ(times_got(objs[i]), 0);
	give_three();
	end(objs[i]);
}

TEST(badfree, magazine_written, "a free object in a magazine that was written to is not given out")
{
	static const size_t sizes[] = { 8, 16, 64, 72, 96, 200, 1024, 5000 };

	if (!needs_magazines(64))
		return;
	reports_begin();
	for (unsigned int k = 0; k < ARRAY_SIZE(sizes); k++)
		for (unsigned int i = 1; i < NR; i++) {
			written_and_taken(sizes[k], false, i);
			written_and_taken(sizes[k], true, i);
		}
}

static void flush(void *unused)
{
	(void)unused;
	kmem_cache_shrink(cache);
}

TEST(badfree, magazine_written_flush, "nor does it go back into its slab")
{
	if (!needs_magazines(64))
		return;
	reports_begin();
	for (unsigned int i = 1; i < NR; i++) {
		REQUIRE(begin(72, i & 1));
		mark_set(objs[i], cache->offset, 0);
		expect_reports_here(flush, NULL, 1, "was written to");
		EXPECT_EQ(ST_FREE(obj_slab(objs[i])->state), cache->objects - 2);
		end(objs[i]);
	}
}

/* As two CPUs can bring about that free it at the very same instant. */
TEST(badfree, magazine_twice,
     "an object that lies in a magazine twice is given out once, as long as it is in use")
{
	if (!needs_magazines(64))
		return;
	reports_begin();
	for (unsigned int i = 2; i < NR; i++) { /* [1] lies so deep that three do not reach it */
		REQUIRE(begin(64, false));
		EXPECT(magazine_push(cache, objs[i]));
		expect_reports_here(take_three, NULL, 1, "freed twice");
		EXPECT_EQ(times_got(objs[i]), 1);
		give_three();
		kmem_cache_shrink(cache);
		kmem_cache_free(cache, objs[0]);
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
	}
}
