/*
 * anyfree.c - any pointer, either call, any context: what one of the allocation calls
 * returned in one context is freed by each of the free calls in each other one, on
 * the same CPU and on another.
 *
 * Calls without _nolock are made in threads and interrupts only.
 */
#include "lib/string.h"
#include "tests/badcall.h"
#include "tests/pattern.h"
#include "tests/test.h"

static const size_t sizes[] = { 0, 1, 8, 64, 96, 100, 192, 1024, 4096, 8192, 8193, 65536, 1 << 20,
				KMALLOC_MAX_SIZE };
static const unsigned int orders[] = { 0, 1, 3, 5, 6, 8, 9, 10 };
static struct kmem_cache *plain, *odd, *constructed;

#define BUILT 0x1234567890abcdef

static void build(void *obj)
{
	*(u64 *)obj = BUILT;
}

/* ---- the calls that give; k: which size, order or cache ---- */

static void *by_kmalloc(unsigned int k)
{
	return kmalloc(sizes[k], GFP_KERNEL);
}

static void *by_kzalloc(unsigned int k)
{
	return kzalloc(sizes[k], GFP_KERNEL);
}

static void *by_kmalloc_node(unsigned int k)
{
	return kmalloc_node(sizes[k], GFP_KERNEL, (int)(num_nodes() - 1));
}

static void *by_krealloc(unsigned int k)
{
	return krealloc(NULL, sizes[k], GFP_KERNEL);
}

static void *by_kmalloc_nolock(unsigned int k)
{
	return kmalloc_nolock(sizes[k], 0, NUMA_NO_NODE);
}

static void *by_kmalloc_nolock_node(unsigned int k)
{
	return kmalloc_nolock(sizes[k], __GFP_ZERO, 0);
}

static void *by_cache(unsigned int k)
{
	return kmem_cache_alloc(k ? k > 1 ? constructed : odd : plain, GFP_KERNEL);
}

static void *by_cache_nolock(unsigned int k)
{
	return kmem_cache_alloc_nolock(k ? k > 1 ? constructed : odd : plain, 0, NUMA_NO_NODE);
}

static void *address(struct page *page)
{
	return page ? page_address(page) : NULL;
}

static void *by_pages(unsigned int k)
{
	return address(alloc_pages(GFP_KERNEL, orders[k]));
}

static void *by_pages_node(unsigned int k)
{
	return address(alloc_pages_node(0, GFP_KERNEL, orders[k]));
}

static void *by_pages_nolock(unsigned int k)
{
	return address(alloc_pages_nolock(0, NUMA_NO_NODE, orders[k]));
}

static const struct giver {
	const char *name;
	void *(*fn)(unsigned int k);
	unsigned int contexts, n;
} givers[] = {
	{ "kmalloc", by_kmalloc, CALL_CONTEXTS, ARRAY_SIZE(sizes) },
	{ "kzalloc", by_kzalloc, CALL_CONTEXTS, ARRAY_SIZE(sizes) },
	{ "kmalloc_node", by_kmalloc_node, CALL_CONTEXTS, ARRAY_SIZE(sizes) },
	{ "krealloc", by_krealloc, CALL_CONTEXTS, ARRAY_SIZE(sizes) },
	{ "kmalloc_nolock", by_kmalloc_nolock, ALL_CONTEXTS, ARRAY_SIZE(sizes) },
	{ "kmalloc_nolock, node 0", by_kmalloc_nolock_node, ALL_CONTEXTS, ARRAY_SIZE(sizes) },
	{ "kmem_cache_alloc", by_cache, CALL_CONTEXTS, 3 },
	{ "kmem_cache_alloc_nolock", by_cache_nolock, ALL_CONTEXTS, 3 },
	{ "alloc_pages", by_pages, CALL_CONTEXTS, ARRAY_SIZE(orders) },
	{ "alloc_pages_node", by_pages_node, CALL_CONTEXTS, ARRAY_SIZE(orders) },
	{ "alloc_pages_nolock", by_pages_nolock, ALL_CONTEXTS, ARRAY_SIZE(orders) },
};

/* ---- the calls that take ---- */

static void to_kfree(void *p)
{
	kfree(p);
}

static void to_kfree_nolock(void *p)
{
	kfree_nolock(p);
}

static void to_krealloc(void *p)
{
	EXPECT(krealloc(p, 0, GFP_KERNEL) == ZERO_SIZE_PTR);
}

static const struct taker {
	const char *name;
	void (*fn)(void *p);
	unsigned int contexts;
} takers[] = {
	{ "kfree", to_kfree, CALL_CONTEXTS },
	{ "kfree_nolock", to_kfree_nolock, ALL_CONTEXTS },
	{ "krealloc", to_krealloc, CALL_CONTEXTS },
};

/* ---- each with each ---- */

static struct {
	const struct giver *giver;
	unsigned int k;
	u64 *p;
	size_t size;
} now;
static u64 pairs;

/* A constructed object keeps its first word. */
static bool is_constructed(void)
{
	return now.giver->fn == by_cache || now.giver->fn == by_cache_nolock ? now.k == 2 : false;
}

static void give(void *unused)
{
	(void)unused;
	now.p = now.giver->fn(now.k);
	if (!now.p || ZERO_OR_NULL_PTR(now.p))
		return;
	now.size = ksize(now.p);
	if (is_constructed())
		EXPECT_EQ(now.p[0], BUILT);
	else
		pattern_fill(now.p, now.size < 512 ? now.size : 512);
}

static void take(void *arg)
{
	const struct taker *t = arg;

	if (!ZERO_OR_NULL_PTR(now.p) && !is_constructed())
		EXPECT(pattern_ok(now.p, now.size < 512 ? now.size : 512));
	t->fn(now.p);
}

static void there_and_back(const struct taker *t, enum context from, enum context to, unsigned int cpu)
{
	run_in(from, cpu, give, NULL);
	if (!now.p) {
		test_fail(__FILE__, __LINE__, "%s, %u: NULL in %s", now.giver->name, now.k,
			  context_name(from));
		return;
	}
	run_in(to, num_online_cpus() - 1 - cpu, take, (void *)t);
	pairs++;
}

static void each_context(const struct taker *t)
{
	unsigned int last = num_online_cpus() - 1;

	for (unsigned int from = 0; from < NR_CONTEXT; from++)
		for (unsigned int to = 0; to < NR_CONTEXT; to++)
			if ((now.giver->contexts >> from & t->contexts >> to) & 1) {
				there_and_back(t, (enum context)from, (enum context)to, 0);
				there_and_back(t, (enum context)from, (enum context)to, last);
			}
}

static bool caches_begin(void)
{
	plain = kmem_cache_create("anyfree-plain", 64, 0, 0, NULL);
	odd = kmem_cache_create("anyfree-odd", 72, 0, 0, NULL);
	constructed = kmem_cache_create("anyfree-constructed", 40, 0, 0, build);
	return plain && odd && constructed;
}

static void caches_end(void)
{
	EXPECT_EQ(kmem_cache_destroy(plain), 0);
	EXPECT_EQ(kmem_cache_destroy(odd), 0);
	EXPECT_EQ(kmem_cache_destroy(constructed), 0);
}

TEST(anyfree, each_with_each,
     "what any allocation call returned in any context, any free call frees in any other, here and elsewhere")
{
	REQUIRE(caches_begin());
	pairs = 0;
	for (unsigned int g = 0; g < ARRAY_SIZE(givers); g++) {
		now.giver = &givers[g];
		for (now.k = 0; now.k < now.giver->n; now.k++)
			for (unsigned int t = 0; t < ARRAY_SIZE(takers); t++)
				each_context(&takers[t]);
	}
	caches_end();
	test_note("%lu pairs", pairs);
}

TEST(anyfree, blocks_by_order,
     "a large block of kmalloc is freed by free_pages, and a block by put_page, too")
{
	for (unsigned int order = 2; order <= MAX_ORDER; order++) {
		struct page *page = virt_to_page(kmalloc(PAGE_SIZE << order, GFP_KERNEL));

		REQUIRE(page != NULL);
		free_pages(page, order);
		page = virt_to_page(kmalloc_nolock(PAGE_SIZE << order, 0, NUMA_NO_NODE));
		REQUIRE(page != NULL);
		free_pages_nolock(page, order);
		page = alloc_pages_nolock(0, NUMA_NO_NODE, order);
		REQUIRE(page != NULL);
		put_page(page);
	}
}

TEST(anyfree, cache_by_kfree_deferred,
     "kfree_nolock in NMIs of more objects than a magazine holds takes them all")
{
	static void *objs[600];

	REQUIRE(caches_begin());
	for (unsigned int i = 0; i < ARRAY_SIZE(objs); i++) {
		objs[i] = kmem_cache_alloc(i % 3 ? i % 3 == 1 ? odd : constructed : plain, GFP_KERNEL);
		EXPECT(objs[i] != NULL);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(objs); i++)
		run_in(CTX_NMI, num_online_cpus() - 1, to_kfree_nolock, objs[i]);
	caches_end();
}
