/*
 * leak.c - kmem_cache_destroy with objects in use: what it lists, exactly those.
 */
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/cache.h"
#include "mm/mm.h"
#include "tests/caught.h"
#include "tests/badcall.h"
#include "tests/test.h"

#define MOST 400

static struct kmem_cache *cache;
static void *used[MOST];

static void destroy_busy(void *unused)
{
	(void)unused;
	EXPECT_EQ(kmem_cache_destroy(cache), -EBUSY);
}

/* n in use, the ones between them free: in a slab, a magazine, another CPU's magazine. */
static bool begin(size_t size, unsigned int n, void (*ctor)(void *))
{
	void *between[MOST];

	cache = kmem_cache_create("leaking", size, 0, 0, ctor);
	if (!cache)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		used[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		between[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!used[i] || !between[i])
			return false;
	}
	for (unsigned int i = 0; i < n; i++)
		run_in(CTX_THREAD, i % num_online_cpus(), (void (*)(void *))kfree, between[i]);
	return true;
}

static bool was_listed(const char *text, const void *obj)
{
	char line[80];

	snprintf(line, sizeof(line), "mm:   object %lx, in the slab at %lx, ", (u64)obj,
		 (u64)page_address(obj_slab(obj)));
	return line_with(text, line);
}

static void make_nothing(void *obj)
{
	(void)obj;
}

static void check_listed(size_t size, unsigned int n, void (*ctor)(void *))
{
	unsigned int listed = 0;
	const char *text, *p;

	REQUIRE(begin(size, n, ctor));
	mm_reports_quiet(false);
	text = caught(destroy_busy, NULL);
	for (unsigned int i = 0; i < n; i++)
		listed += was_listed(text, used[i]);
	EXPECT_EQ(listed, n < 16 ? n : 16);
	p = line_with(text, "mm:   and ");
	EXPECT_EQ(p ? number_in(&p) : 0, n - listed);
	for (p = text, listed = 0; (p = line_with(p, "mm:   object ")); listed++)
		;
	EXPECT_EQ(listed, n < 16 ? n : 16); /* and no others */
	for (unsigned int i = 0; i < n; i++)
		kmem_cache_free(cache, used[i]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(leak, listed, "a cache destroyed too early: the report lists the objects in use, each with its slab, to 16")
{
	static const unsigned int numbers[] = { 1, 2, 15, 16, 17, MOST };
	u64 provoked = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(numbers); i++) {
		check_listed(40, numbers[i], NULL);
		check_listed(3000, numbers[i] < 40 ? numbers[i] : 40, NULL);
		check_listed(100, numbers[i], make_nothing);
		provoked += 3;
	}
	test_expect_reports(provoked);
}

TEST(leak, counted, "cache_in_use counts what is in use, wherever what is free lies")
{
	void *some[3];

	REQUIRE(begin(64, 50, NULL));
	EXPECT_EQ(cache_in_use(cache, some, 3), 50);
	for (unsigned int i = 0; i < 3; i++) {
		bool found = false;

		for (unsigned int k = 0; k < 50; k++)
			found |= used[k] == some[i];
		EXPECT(found);
	}
	for (unsigned int i = 0; i < 50; i++)
		kmem_cache_free(cache, used[i]);
	EXPECT_EQ(cache_in_use(cache, some, 3), 0);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
