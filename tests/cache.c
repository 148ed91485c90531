/*
 * cache.c - kmem_cache: layout, constructors, and caches that are not to be created.
 * Their end: cache_end.c.
 */
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "tests/badcall.h"
#include "tests/pattern.h"
#include "tests/test.h"

#define MAX_OBJS 4096
static char *objs[MAX_OBJS];

/* ---- layout ---- */

static void check_layout(size_t size, size_t align, unsigned int flags)
{
	struct kmem_cache *s = kmem_cache_create("layout", size, align, flags, NULL);
	unsigned int n = 2 * (unsigned int)(PAGE_SIZE / size) + 3;

	REQUIRE(s != NULL && n < MAX_OBJS);
	EXPECT_EQ(kmem_cache_size(s), size);
	for (unsigned int i = 0; i < n; i++) {
		objs[i] = kmem_cache_alloc(s, GFP_KERNEL);
		REQUIRE(objs[i] != NULL);
		EXPECT_EQ((u64)objs[i] & ((align > 8 ? align : 8) - 1), 0);
		if (flags & SLAB_HWCACHE_ALIGN) /* in no more lines of 64 bytes than it needs */
			EXPECT(((u64)objs[i] & 63) + size <= (size + 63) / 64 * 64);
		pattern_fill(objs[i], size);
	}
	for (unsigned int i = 0; i < n; i++) {
		EXPECT(pattern_ok(objs[i], size));
		kmem_cache_free(s, objs[i]);
	}
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(cache, layout, "objects of any size and alignment are aligned, whole, and overlap no other")
{
	static const size_t sizes[] = { 4, 5, 8, 12, 17, 24, 33, 40, 63, 64, 65, 100, 128, 200, 513, 1000,
					2048, 3000, 4096, 5000, 8191, 8192 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t align = 1; align <= PAGE_SIZE; align *= 4)
			check_layout(sizes[i], align, 0);
		check_layout(sizes[i], 0, SLAB_HWCACHE_ALIGN);
	}
}

/* ---- constructors ---- */

static u64 built, built_twice;
static size_t object_size;

/* A constructed object holds its own pattern throughout. */
static void build(void *obj)
{
	built++;
	pattern_fill(obj, object_size);
}

static struct kmem_cache *constructed_cache(size_t size)
{
	object_size = size;
	built = 0;
	return kmem_cache_create("constructed", size, 0, 0, build);
}

static void free_nolock(void *obj)
{
	kfree_nolock(obj);
}

/* Take n; each is as the constructor left it. */
static void take_constructed(struct kmem_cache *s, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		objs[i] = kmem_cache_alloc(s, GFP_KERNEL);
		REQUIRE(objs[i] != NULL);
		if (!pattern_ok(objs[i], object_size))
			test_fail(__FILE__, __LINE__, "size %lu: object %u at %lx is not as constructed",
				  object_size, i, (u64)objs[i]);
	}
}

/* Free all, whatever the way: magazine, its flush, deferral, another CPU, the chain. */
static void free_constructed(struct kmem_cache *s, unsigned int n, unsigned int way)
{
	for (unsigned int i = 0; i < n; i++) {
		if (way == 1)
			run_in(CTX_NMI, 0, free_nolock, objs[i]);
		else if (way == 2)
			run_in(CTX_THREAD, num_online_cpus() - 1, free_nolock, objs[i]);
		else
			kmem_cache_free(s, objs[i]);
	}
}

static void check_constructed(size_t size)
{
	struct kmem_cache *s = constructed_cache(size);
	unsigned int n;

	REQUIRE(s != NULL);
	n = s->limit + s->objects + 5;
	REQUIRE(n < MAX_OBJS);
	for (unsigned int way = 0; way < 4; way++) {
		take_constructed(s, n);
		free_constructed(s, n, way);
		if (way == 3)
			magazine_flush(s, ~0UL);
	}
	take_constructed(s, n);
	free_constructed(s, n, 0);
	EXPECT(built >= n);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(cache, constructor,
     "a constructed object keeps every byte: free, flushed, deferred, freed elsewhere, given anew")
{
	static const size_t sizes[] = { 4, 8, 9, 16, 31, 64, 120, 500, 4096, 8184, 8192 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		check_constructed(sizes[i]);
}

static void count_build(void *obj)
{
	for (u64 i = 0; i < built; i++)
		built_twice += objs[i] == obj;
	if (built < MAX_OBJS)
		objs[built++] = obj;
	*(u32 *)obj = 0xfeedbee5;
}

TEST(cache, constructor_once,
     "the constructor is called once for each object of a slab, not at each allocation")
{
	struct kmem_cache *s;

	built = built_twice = 0;
	test_frees_at_once();
	s = kmem_cache_create("constructed", 24, 0, 0, count_build);
	REQUIRE(s != NULL);
	for (unsigned int i = 0; i < 1000; i++) {
		void *obj = kmem_cache_alloc(s, GFP_KERNEL | __GFP_ZERO); /* of no effect here */

		REQUIRE(obj != NULL);
		EXPECT_EQ(*(u32 *)obj, 0xfeedbee5);
		kmem_cache_free(s, obj);
	}
	EXPECT_EQ(built, s->objects);
	EXPECT_EQ(built_twice, 0);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(cache, zero, "__GFP_ZERO clears an object of a cache without a constructor, after a dirty free")
{
	struct kmem_cache *s = kmem_cache_create("zero", 77, 0, 0, NULL);

	REQUIRE(s != NULL);
	for (unsigned int i = 0; i < 600; i++) {
		char *p = i & 1 ? kmem_cache_alloc(s, GFP_KERNEL | __GFP_ZERO) :
				  kmem_cache_alloc_nolock(s, __GFP_ZERO, NUMA_NO_NODE);

		REQUIRE(p != NULL);
		for (unsigned int k = 0; k < 77; k++)
			EXPECT_EQ(p[k], 0);
		memset(p, 0xff, 77);
		kmem_cache_free(s, p);
	}
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

/* ---- creating ---- */

struct create_args {
	const char *name;
	size_t size, align;
	unsigned int flags;
	const char *word;
};

static void call_create(void *arg)
{
	const struct create_args *a = arg;

	EXPECT(!kmem_cache_create(a->name, a->size, a->align, a->flags, NULL));
}

static void expect_create_refused(const struct create_args *a)
{
	expect_reports_here(call_create, (void *)a, 1, a->word);
}

TEST(cache, create_refused, "a cache with a bad argument is not created: one report each, nothing changed")
{
	static const struct create_args bad[] = {
		{ NULL, 8, 0, 0, "no name" },
		{ "", 8, 0, 0, "no name" },
		{ "a-name-that-has-28-character", 8, 0, 0, "too long" },
		{ "bad", 0, 0, 0, "size out of range" },
		{ "bad", 8193, 0, 0, "size out of range" },
		{ "bad", SIZE_MAX, 0, 0, "size out of range" },
		{ "bad", 8, 3, 0, "alignment" },
		{ "bad", 8, 24, 0, "alignment" },
		{ "bad", 8, 8192, 0, "alignment" },
		{ "bad", 8, SIZE_MAX, 0, "alignment" },
		{ "bad", 8, 0, 1u << 30, "unknown flags" },
		{ "bad", 8, 0, ~0u & ~SLAB_PANIC, "unknown flags" },
		{ "kmalloc-64", 64, 0, 0, "exists" },
		{ "taken", 8, 0, 0, "exists" },
	};
	struct kmem_cache *s;

	reports_begin();
	s = kmem_cache_create("taken", 8, 0, 0, NULL);
	REQUIRE(s != NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		expect_create_refused(&bad[i]);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	s = kmem_cache_create("taken", 8, 0, 0, NULL); /* free again */
	REQUIRE(s != NULL);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	s = kmem_cache_create("a-name-that-has-27-characte", 8, 0, 0, NULL);
	REQUIRE(s != NULL);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

static const struct create_args one_more = { "one-more", 8, 0, 0, "too many caches" };

TEST(cache, too_many, "when the table of caches is full the next is refused, and all slots come back")
{
	static struct kmem_cache *all[MAX_CACHES];
	unsigned int n = 0;
	char name[28];

	reports_begin();
	for (unsigned int i = 0; i < MAX_CACHES; i++)
		n += !caches[i].live;
	n--; /* [0] is none */
	for (unsigned int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "many-%u", i);
		all[i] = kmem_cache_create(name, 16 + i, 0, 0, NULL);
		EXPECT(all[i] != NULL);
		kmem_cache_free(all[i], kmem_cache_alloc(all[i], GFP_KERNEL));
	}
	expect_create_refused(&one_more);
	for (unsigned int i = 0; i < n; i++)
		EXPECT_EQ(kmem_cache_destroy(all[i]), 0);
	test_note("%u caches", n);
}
