/*
 * memcg.c - what a group is charged, in every context, and who lives how long.
 *
 * Groups' counts are also compared with all objects and blocks by the walk after each
 * case, and a group without references that did not end fails there as well.
 */
#include <anyctx/memcg.h>
#include <arch/time.h>
#include "lib/string.h"
#include "mm/fail.h"
#include "mm/memcg.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/pattern.h"
#include "tests/test.h"

/* fn(arg) once in each context, on CPU 0 and on the last one. */
static void everywhere(void (*fn)(void *), void *arg)
{
	unsigned int last = num_online_cpus() - 1;

	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		run_in((enum context)ctx, 0, fn, arg);
		if (last)
			run_in((enum context)ctx, last, fn, arg);
	}
}

static void *kmalloc_for(struct mem_cgroup *g, size_t size, bool nolock)
{
	struct mem_cgroup *was = set_active_memcg(g);
	void *p = nolock ? kmalloc_nolock(size, __GFP_ACCOUNT, NUMA_NO_NODE) : kmalloc(size, GFP_KERNEL_ACCOUNT);

	EXPECT(set_active_memcg(was) == g);
	return p;
}

static struct page *pages_for(struct mem_cgroup *g, unsigned int order)
{
	struct mem_cgroup *was = set_active_memcg(g);
	struct page *page = alloc_pages_nolock(__GFP_ACCOUNT, NUMA_NO_NODE, order);

	set_active_memcg(was);
	return page;
}

/* ---- what is charged ---- */

static void one_of_size(struct mem_cgroup *g, size_t size)
{
	char *p = kmalloc_for(g, size, size & 1);

	if (!p || ksize(p) < size || (u64)p & 7 || (!(size & (size - 1)) && (u64)p & (size < 4096 ? size - 1 : 4095))) {
		test_fail(__FILE__, __LINE__, "size %lu gives %lx", size, (u64)p);
		return;
	}
	EXPECT(mem_cgroup_from_obj(p) == g);
	EXPECT_EQ(mem_cgroup_usage(g), ksize(p));
	pattern_fill(p, size);
	EXPECT(pattern_ok(p, size));
	kfree(p);
	EXPECT_EQ(mem_cgroup_usage(g), 0);
}

TEST(memcg, sizes, "an object of each size, and blocks to 4 MiB, are charged what ksize tells, and given back")
{
	struct mem_cgroup *g;
	void *plain;

	if (!needs_undebugged(64)) /* what is beside the objects is paid for as well */
		return;
	g = mem_cgroup_create(NULL, "sizes");
	plain = kmalloc_for(NULL, 100, false);
	REQUIRE(g && plain);
	EXPECT(!mem_cgroup_from_obj(plain));
	kfree(plain);
	for (size_t size = 1; size <= 8200; size += size < 300 ? 1 : 7)
		one_of_size(g, size);
	for (size_t size = 2048; size <= KMALLOC_MAX_SIZE; size *= 2)
		one_of_size(g, size);
	mem_cgroup_put(g);
}

/* Neighbours in a slab, and who pays for them. */
#define MANY 300
static void many_of(struct mem_cgroup *a, struct mem_cgroup *b, size_t size)
{
	static char *p[MANY];
	u64 each;

	for (unsigned int i = 0; i < MANY; i++) {
		p[i] = kmalloc_for(i & 1 ? a : b, size, i & 2);
		REQUIRE(p[i]);
		pattern_fill(p[i], size);
	}
	each = ksize(p[0]);
	EXPECT_EQ(mem_cgroup_usage(a), each * MANY / 2);
	EXPECT_EQ(mem_cgroup_usage(b), each * MANY / 2);
	for (unsigned int i = 0; i < MANY; i++) {
		EXPECT(pattern_ok(p[i], size) && mem_cgroup_from_obj(p[i]) == (i & 1 ? a : b));
		kfree(p[i]);
	}
	EXPECT_EQ(mem_cgroup_usage(a) + mem_cgroup_usage(b), 0);
}

static void check_neighbours(void)
{
	static const u16 sizes[] = { 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048 };
	struct mem_cgroup *a = mem_cgroup_create(NULL, "a"), *b = mem_cgroup_create(NULL, "b");

	REQUIRE(a && b);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		many_of(a, b, sizes[i]);
	mem_cgroup_put(a);
	mem_cgroup_put(b);
}

TEST(memcg, neighbours, "objects of two groups side by side in a slab: contents and who pays stay apart")
{
	if (needs_undebugged(64)) /* else what is beside the objects is paid for as well */
		check_neighbours();
}

static void blocks(struct mem_cgroup *g, unsigned int order)
{
	struct page *page = pages_for(g, order), *frozen;
	struct mem_cgroup *was = set_active_memcg(g);

	frozen = alloc_frozen_pages_nolock(__GFP_ACCOUNT | __GFP_ZERO, NUMA_NO_NODE, order);
	set_active_memcg(was);
	REQUIRE(page && frozen);
	EXPECT_EQ(page_ref_count(page), 1);
	EXPECT_EQ(page_ref_count(frozen), 0);
	EXPECT_EQ(mem_cgroup_usage(g), 2 * PAGE_SIZE << order);
	EXPECT(mem_cgroup_from_obj(page_address(page)) == g);
	get_page(page);
	free_pages(page, order);
	EXPECT_EQ(mem_cgroup_usage(g), 2 * PAGE_SIZE << order);
	put_page(page);
	free_frozen_pages(frozen, order);
	EXPECT_EQ(mem_cgroup_usage(g), 0);
}

TEST(memcg, blocks, "blocks of each order are charged, once, until their last reference is dropped")
{
	struct mem_cgroup *g = mem_cgroup_create(NULL, "blocks");

	REQUIRE(g != NULL);
	for (unsigned int order = 0; order <= MAX_ORDER; order++)
		blocks(g, order);
	mem_cgroup_put(g);
}

static u32 constructed;

static void construct(void *p)
{
	memset(p, 0x5a, 100);
	constructed++;
}

static void cache_case(size_t size, void (*ctor)(void *))
{
	struct kmem_cache *s = kmem_cache_create("memcg-own", size, 0, SLAB_ACCOUNT, ctor);
	struct mem_cgroup *g = mem_cgroup_create(NULL, "own cache"), *was = set_active_memcg(g);
	void *p[40];

	REQUIRE(s && g);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = i & 1 ? kmem_cache_alloc(s, GFP_KERNEL) :
			       kmem_cache_alloc_nolock(s, __GFP_ACCOUNT | (ctor ? 0 : __GFP_ZERO), NUMA_NO_NODE);
		REQUIRE(p[i] && mem_cgroup_from_obj(p[i]) == g);
		if (ctor || !(i & 1))
			EXPECT_EQ(*(u8 *)p[i], ctor ? 0x5a : 0);
		else
			memset(p[i], 0xff, size);
	}
	EXPECT_EQ(mem_cgroup_usage(g), ARRAY_SIZE(p) * (object_units(s) << UNIT_SHIFT));
	EXPECT(object_units(s) << UNIT_SHIFT >= size && object_units(s) << UNIT_SHIFT <= s->stride);
	set_active_memcg(was);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		kmem_cache_free(s, p[i]);
	p[0] = kmem_cache_alloc(s, GFP_KERNEL); /* nobody is active */
	EXPECT(p[0] && !mem_cgroup_from_obj(p[0]));
	kfree(p[0]);
	EXPECT_EQ(mem_cgroup_usage(g), 0);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	mem_cgroup_put(g);
}

TEST(memcg, cache, "a cache with SLAB_ACCOUNT charges each object, of any size, constructed or not")
{
	cache_case(24, NULL);
	cache_case(100, construct);
	cache_case(1000, NULL);
	cache_case(8192, NULL);
	EXPECT(constructed >= 40);
}

static void check_krealloc(void)
{
	struct mem_cgroup *g = mem_cgroup_create(NULL, "krealloc"), *was = set_active_memcg(g);
	char *p = kmalloc(64, GFP_KERNEL_ACCOUNT), *q;

	REQUIRE(g && p);
	p = krealloc(p, 1000, GFP_KERNEL_ACCOUNT);
	EXPECT(p && mem_cgroup_from_obj(p) == g);
	EXPECT_EQ(mem_cgroup_usage(g), 1024);
	mem_cgroup_set_limit(g, 2000);
	q = krealloc(p, 3000, GFP_KERNEL_ACCOUNT);
	EXPECT(!q);
	EXPECT_EQ(mem_cgroup_usage(g), 1024);
	p = krealloc(p, 3000, GFP_KERNEL); /* nobody pays for that one */
	EXPECT(p && !mem_cgroup_from_obj(p));
	EXPECT_EQ(mem_cgroup_usage(g), 0);
	kfree(p);
	set_active_memcg(was);
	mem_cgroup_put(g);
}

TEST(memcg, krealloc, "krealloc charges the new block, gives back the old one, and keeps it if the limit is met")
{
	if (needs_undebugged(64)) /* else what is beside the objects is paid for as well */
		check_krealloc();
}

/* ---- limits ---- */

static void fill_to_limit(void *group)
{
	struct mem_cgroup *g = group;
	void *first = NULL, *p;
	u64 n = 0, failed = mem_cgroup_failcnt(g);

	while ((p = kmalloc_for(g, 512, true))) {
		*(void **)p = first;
		first = p;
		n++;
	}
	EXPECT_EQ(n, mem_cgroup_limit(g) / 512);
	EXPECT_EQ(mem_cgroup_failcnt(g), failed + 1);
	EXPECT_EQ(mem_cgroup_usage(g), n * 512);
	EXPECT(!pages_for(g, 0));
	for (; first; first = p) {
		p = *(void **)first;
		kfree_nolock(first);
	}
	EXPECT_EQ(mem_cgroup_usage(g), 0);
}

static void check_limit(void)
{
	struct mem_cgroup *g = mem_cgroup_create(NULL, "limit");

	REQUIRE(g != NULL);
	for (u64 limit = 512; limit <= 1 << 20; limit = limit * 3 + 512) {
		mem_cgroup_set_limit(g, limit);
		everywhere(fill_to_limit, g);
		EXPECT(mem_cgroup_watermark(g) <= mem_cgroup_limit(g));
	}
	mem_cgroup_set_limit(g, 0);
	EXPECT(!kmalloc_for(g, 8, true));
	mem_cgroup_put(g);
}

TEST(memcg, limit, "from every context exactly as many objects as the limit allows, and NULL for the next")
{
	if (needs_undebugged(64)) /* else what is beside the objects is paid for as well */
		check_limit();
}

TEST(memcg, hierarchy, "a limit above refuses what the group itself would allow; nothing stays charged by that")
{
	struct mem_cgroup *top = mem_cgroup_create(NULL, "top"), *a, *b;
	struct page *page[3];

	a = mem_cgroup_create(top, "a");
	b = mem_cgroup_create(top, "b");
	REQUIRE(top && a && b);
	mem_cgroup_set_limit(top, 8 * PAGE_SIZE);
	mem_cgroup_set_limit(a, 6 * PAGE_SIZE);
	page[0] = pages_for(a, 2);
	EXPECT(page[0] && !pages_for(a, 2)); /* a's own limit */
	page[1] = pages_for(b, 1);
	EXPECT(page[1] && !pages_for(b, 2)); /* that of top */
	EXPECT_EQ(mem_cgroup_failcnt(a), 1);
	EXPECT_EQ(mem_cgroup_failcnt(b), 0);
	EXPECT_EQ(mem_cgroup_failcnt(top), 1);
	EXPECT_EQ(mem_cgroup_usage(a), 4 * PAGE_SIZE);
	EXPECT_EQ(mem_cgroup_usage(b), 2 * PAGE_SIZE);
	EXPECT_EQ(mem_cgroup_usage(top), 6 * PAGE_SIZE);
	page[2] = pages_for(b, 1); /* just so much */
	EXPECT(page[2] != NULL);
	EXPECT_EQ(mem_cgroup_watermark(top), 8 * PAGE_SIZE);
	free_pages(page[0], 2);
	free_pages(page[1], 1);
	free_pages(page[2], 1);
	mem_cgroup_put(top);
	mem_cgroup_put(b);
	mem_cgroup_put(a);
}

/* Each CPU keeps what it has charged in advance; the limit is what they have together. */
static struct mem_cgroup *stocked;

static void leave_stock(void *unused)
{
	(void)unused;
	kfree(kmalloc_for(stocked, 64, true));
}

static void take_all(void *unused)
{
	struct page *page = pages_for(stocked, 6);

	(void)unused;
	EXPECT(page != NULL); /* the limit, to the last byte */
	free_pages_nolock(page, 6);
	EXPECT_EQ(mem_cgroup_usage(stocked), 0);
}

TEST(memcg, stocks, "what CPUs have charged in advance is taken from them when a limit is met, in every context")
{
	struct mem_cgroup *top = mem_cgroup_create(NULL, "top");
	u64 had = 0;

	stocked = mem_cgroup_create(top, "stocked");
	REQUIRE(top && stocked);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		mem_cgroup_set_limit(top, MEMCG_NO_LIMIT);
		on_each_cpu(leave_stock, NULL, true);
		had = memcg_stocked(top) << UNIT_SHIFT;
		EXPECT(had >= num_online_cpus() * (MEMCG_STOCK_BYTES / 2));
		EXPECT_EQ(mem_cgroup_usage(stocked), 0);
		mem_cgroup_set_limit(top, PAGE_SIZE << 6);
		run_in((enum context)ctx, num_online_cpus() - 1, take_all, NULL);
		EXPECT_EQ(mem_cgroup_failcnt(top), 0);
	}
	test_note("%lu bytes in the stocks of %u CPUs", had, num_online_cpus());
	mem_cgroup_put(stocked);
	mem_cgroup_put(top);
}

static void alloc_fails(void *group)
{
	struct fail_setup all = { .layer[FAIL_SLAB] = { .interval = 1 }, .layer[FAIL_PAGE] = { .interval = 1 } };

	fail_arm(&all);
	EXPECT(!kmalloc_for(group, 64, true) && !kmalloc_for(group, 5000, false) && !pages_for(group, 3));
	fail_disarm();
}

TEST(memcg, no_memory, "an allocation that fails for want of memory leaves nothing charged")
{
	struct mem_cgroup *g = mem_cgroup_create(NULL, "no memory");
	struct mm_stats before, after;

	REQUIRE(g != NULL);
	alloc_fails(g);
	EXPECT_EQ(mem_cgroup_usage(g), 0);
	EXPECT_EQ(mem_cgroup_failcnt(g), 0);
	mem_cgroup_set_limit(g, 100);
	mm_get_stats(&before);
	EXPECT(!kmalloc_for(g, 4000, true) && !kmalloc_for(g, 128, true) && !pages_for(g, 0));
	mm_get_stats(&after); /* and a limit is no want of memory */
	EXPECT_EQ(after.failures, before.failures);
	EXPECT_EQ(mem_cgroup_failcnt(g), 3);
	mem_cgroup_put(g);
}

/* ---- who pays ---- */

static struct mem_cgroup *of_thread, *of_others;
static void *of_interrupt;

static void allocate_here(void *unused)
{
	struct mem_cgroup *was;
	void *p;

	(void)unused;
	if (current_context() != CTX_THREAD)
		EXPECT(!active_memcg());
	was = set_active_memcg(of_others);
	p = kmalloc_nolock(64, __GFP_ACCOUNT, NUMA_NO_NODE);
	EXPECT(p && mem_cgroup_from_obj(p) == of_others);
	set_active_memcg(was);
	kfree_nolock(p);
	of_interrupt = kmalloc_nolock(64, __GFP_ACCOUNT, NUMA_NO_NODE);
}

TEST(memcg, active, "each context has its own active group; what interrupts is not paid for by whom it interrupts")
{
	void *p;

	of_thread = mem_cgroup_create(NULL, "thread");
	of_others = mem_cgroup_create(NULL, "others");
	REQUIRE(of_thread && of_others);
	EXPECT(!set_active_memcg(of_thread));
	for (unsigned int ctx = CTX_IRQ; ctx < NR_CONTEXT; ctx++) {
		run_in((enum context)ctx, 0, allocate_here, NULL);
		EXPECT(of_interrupt && !mem_cgroup_from_obj(of_interrupt));
		kfree(of_interrupt);
		EXPECT(active_memcg() == of_thread);
	}
	p = kmalloc(64, GFP_KERNEL_ACCOUNT);
	EXPECT(p && mem_cgroup_from_obj(p) == of_thread);
	kfree(p);
	EXPECT(set_active_memcg(NULL) == of_thread);
	mem_cgroup_put(of_thread);
	mem_cgroup_put(of_others);
}

/* ---- life ---- */

static bool lives(const struct mem_cgroup *g)
{
	return load(&g->life) & LIFE_LIVE;
}

static void put_here(void *g)
{
	mem_cgroup_put(g);
}

static void free_here(void *p)
{
	kfree_nolock(p);
}

/* A group whose last reference goes in this context, and whose last charge does. */
static void end_in(enum context ctx, unsigned int cpu)
{
	struct mem_cgroup *top = mem_cgroup_create(NULL, "top"), *g = mem_cgroup_create(top, "below");
	void *p;

	REQUIRE(top && g);
	p = kmalloc_for(g, 64, true); /* and a stock */
	mem_cgroup_put(top);
	EXPECT(lives(top));
	run_in(ctx, cpu, put_here, g);
	EXPECT(lives(g) && lives(top) && mem_cgroup_from_obj(p) == g);
	EXPECT_EQ(memcg_stocked(g), 0);
	run_in(ctx, cpu, free_here, p);
	EXPECT(!lives(g) && !lives(top));
	EXPECT_EQ(top->count & WORD_VALUE, 0);
	top = mem_cgroup_create(NULL, "top");
	kfree(kmalloc_for(top, 5000, true));
	run_in(ctx, cpu, put_here, top);
	EXPECT(!lives(top));
}

TEST(memcg, life, "a group and those above it end with the last charge or reference, in whichever context that goes")
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		end_in((enum context)ctx, 0);
		end_in((enum context)ctx, num_online_cpus() - 1);
	}
}

TEST(memcg, all_groups, "255 groups at a time and no more; ended ones can be had again, and begin anew")
{
	static struct mem_cgroup *all[MEMCG_MAX_GROUPS];

	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < MEMCG_MAX_GROUPS; i++) {
			all[i] = mem_cgroup_create(i % 8 ? all[i - 1] : NULL, "one of many");
			REQUIRE(all[i]);
			EXPECT(mem_cgroup_limit(all[i]) == MEMCG_NO_LIMIT && !mem_cgroup_usage(all[i]));
			EXPECT(!mem_cgroup_watermark(all[i]) && !mem_cgroup_failcnt(all[i]));
			mem_cgroup_set_limit(all[i], 64);
			kfree(kmalloc_for(all[i], 64, true));
			EXPECT(!kmalloc_for(all[i], 65, true));
		}
		EXPECT(!mem_cgroup_create(NULL, "one more"));
		for (unsigned int i = 0; i < MEMCG_MAX_GROUPS; i++)
			mem_cgroup_put(all[(i * 7) % MEMCG_MAX_GROUPS]);
	}
}

/* ---- bad calls ---- */

static struct kmem_cache *plain;

static void alloc_plain_accounted(void *unused)
{
	(void)unused;
	EXPECT(!kmem_cache_alloc_nolock(plain, __GFP_ACCOUNT, NUMA_NO_NODE));
}

static void put_bad(void *g)
{
	mem_cgroup_put(g);
}

static void set_bad(void *g)
{
	set_active_memcg(g);
	EXPECT(active_memcg() == NULL);
}

static void get_bad(void *g)
{
	mem_cgroup_get(g);
}

static void limit_bad(void *g)
{
	mem_cgroup_set_limit(g, 0);
}

static void usage_bad(void *g)
{
	EXPECT_EQ(mem_cgroup_usage(g), 0);
}

static void read_limit_bad(void *g)
{
	EXPECT_EQ(mem_cgroup_limit(g), 0);
}

static void watermark_bad(void *g)
{
	EXPECT_EQ(mem_cgroup_watermark(g), 0);
}

static void failcnt_bad(void *g)
{
	EXPECT_EQ(mem_cgroup_failcnt(g), 0);
}

static void name_bad(void *g)
{
	EXPECT(!*mem_cgroup_name(g));
}

static void create_under(void *g)
{
	EXPECT(!mem_cgroup_create(g, "child"));
}

static void create_named(void *name)
{
	EXPECT(!mem_cgroup_create(NULL, name));
}

/* Every call that takes a group, with one that has ended, and with what never was one. */
TEST(memcg, bad_groups, "a group that has ended, or is none, is reported by every call from every context")
{
	struct mem_cgroup *ended = mem_cgroup_create(NULL, "ended");
	struct {
		void (*fn)(void *);
		const char *call;
	} calls[] = { { put_bad, "mem_cgroup_put" }, { get_bad, "mem_cgroup_get" }, { set_bad, "set_active_memcg" },
		      { limit_bad, "mem_cgroup_set_limit" }, { read_limit_bad, "mem_cgroup_limit" },
		      { usage_bad, "mem_cgroup_usage" }, { watermark_bad, "mem_cgroup_watermark" },
		      { failcnt_bad, "mem_cgroup_failcnt" }, { name_bad, "mem_cgroup_name" },
		      { create_under, "mem_cgroup_create" } };
	void *bad[] = { ended, (char *)ended + 1, &groups[0], &groups[MEMCG_MAX_GROUPS + 1] };

	REQUIRE(ended);
	mem_cgroup_put(ended);
	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++) {
		const char *call = calls[i].call;

		expect_bad(&(struct bad_call){ calls[i].fn, ended, call, ended, "not a group, or nobody has" }, ALL_CONTEXTS);
		for (unsigned int k = 1; k < ARRAY_SIZE(bad); k++)
			expect_bad_in(&(struct bad_call){ calls[i].fn, bad[k], call, bad[k], "not a group" }, CTX_NMI, 0);
	}
}

TEST(memcg, bad_calls, "bad names, depths and flags are reported from every context, and have no effect")
{
	static const char name[] = "a-name-that-has-28-character";
	struct mem_cgroup *way[MEMCG_MAX_DEPTH + 1] = { NULL };

	reports_begin();
	plain = kmem_cache_create("memcg-plain", 64, 0, 0, NULL);
	REQUIRE(plain);
	for (unsigned int i = 1; i <= MEMCG_MAX_DEPTH; i++)
		way[i] = mem_cgroup_create(way[i - 1], "deep");
	expect_bad(&(struct bad_call){ create_under, way[MEMCG_MAX_DEPTH], "mem_cgroup_create", way[MEMCG_MAX_DEPTH], "too deep" },
		   ALL_CONTEXTS);
	for (unsigned int i = 1; i <= MEMCG_MAX_DEPTH; i++)
		mem_cgroup_put(way[i]);
	expect_bad(&(struct bad_call){ create_named, (void *)name, "mem_cgroup_create", name, "longer than 27" }, ALL_CONTEXTS);
	expect_bad(&(struct bad_call){ alloc_plain_accounted, NULL, "kmem_cache_alloc_nolock", plain, "no SLAB_ACCOUNT" },
		   ALL_CONTEXTS);
	EXPECT_EQ(kmem_cache_destroy(plain), 0);
}

static void *freed;

static void free_again(void *p)
{
	kfree_nolock(p);
}

static void check_double_free(void)
{
	struct mem_cgroup *g = mem_cgroup_create(NULL, "double free");
	static const u32 sizes[] = { 64, 2048, 4096, 65536 };
	void *keep;

	REQUIRE(g != NULL);
	reports_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		keep = kmalloc_for(g, sizes[i], true); /* the slab stays */
		freed = kmalloc_for(g, sizes[i], true);
		REQUIRE(keep && freed);
		expect_bad(&(struct bad_call){ free_again, (char *)freed + 8, "kfree_nolock", (char *)freed + 8, "" }, 1);
		EXPECT_EQ(mem_cgroup_usage(g), 2 * ksize(keep));
		kfree(freed);
		expect_bad(&(struct bad_call){ free_again, freed, "kfree_nolock", freed, "free" }, ALL_CONTEXTS);
		EXPECT_EQ(mem_cgroup_usage(g), ksize(keep));
		kfree(keep);
	}
	mem_cgroup_put(g);
}

TEST(memcg, double_free, "an object or block that is freed twice is reported, and given back to the group once")
{
	if (needs_undebugged(64)) /* else what is beside the objects is paid for as well */
		check_double_free();
}

/* ---- what it costs ---- */

#define PAIRS 1000

static u64 ns_of_pairs(size_t size, gfp_t gfp)
{
	u64 begun = arch_ns();

	for (unsigned int i = 0; i < PAIRS; i++)
		kfree(kmalloc(size, gfp));
	return (arch_ns() - begun) / PAIRS;
}

static void check_cost(void)
{
	static const u16 sizes[] = { 64, 1024, 4096 };
	struct mem_cgroup *top = mem_cgroup_create(NULL, "top"), *g = mem_cgroup_create(top, "cost"), *was;

	REQUIRE(top && g);
	was = set_active_memcg(g);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		u64 plain = ns_of_pairs(sizes[i], GFP_KERNEL), paid, met;

		paid = ns_of_pairs(sizes[i], GFP_KERNEL_ACCOUNT);
		mem_cgroup_set_limit(top, sizes[i]); /* no stock: each charge changes both counts */
		met = ns_of_pairs(sizes[i], GFP_KERNEL_ACCOUNT);
		mem_cgroup_set_limit(top, MEMCG_NO_LIMIT);
		EXPECT(plain && paid && met);
		test_note("%u bytes: not paid %lu, paid %lu, at the limit of the group above %lu", sizes[i], plain, paid, met);
	}
	EXPECT_EQ(mem_cgroup_failcnt(top), 0);
	set_active_memcg(was);
	mem_cgroup_put(g);
	mem_cgroup_put(top);
}

TEST(memcg, cost, "an allocation and its free, paid for and not: nanoseconds, instructions under replay")
{
	if (needs_undebugged(64)) /* else what is beside the objects is paid for as well */
		check_cost();
}

/* ---- the walk ---- */

static void spoilt(u64 *word, u64 value, const char *what)
{
	u64 was = *word;

	*word = value;
	if (!mm_check())
		test_fail(__FILE__, __LINE__, "the walk does not tell: %s", what);
	*word = was;
	EXPECT_EQ(mm_check(), 0);
}

TEST(memcg, walk, "the full walk tells wrong counts, words that are held, and groups that should have ended")
{
	struct mem_cgroup *g = mem_cgroup_create(NULL, "walk"), *end = mem_cgroup_create(NULL, "end");
	void *p = kmalloc_for(g, 64, true);
	struct page *page = pages_for(g, 2);
	struct memcg_cpu *mc = this_cpu_ptr(memcg_cpu);

	REQUIRE(g && end && p && page);
	page->owner ^= (u8)(group_id(g) ^ group_id(end));
	EXPECT(mm_check() != 0); /* another pays */
	page->owner ^= (u8)(group_id(g) ^ group_id(end));
	spoilt(&g->count, g->count + 1, "a unit more in the count");
	spoilt(&g->count, g->count | WORD_HELD, "a count that is held");
	spoilt(&g->watermark, 0, "a watermark below the count");
	spoilt(&g->life, g->life & ~LIFE_LIVE, "a group that pays and has ended");
	spoilt(&end->life, end->life - 1, "a group with nothing that has not ended");
	spoilt(&mc->stock, mc->stock + 1, "a unit more in stock");
	spoilt(&mc->stock, mc->stock | WORD_HELD, "a stock that is held");
	spoilt(&mc->op, 1, "a charge that has not ended");
	kfree(p);
	free_pages(page, 2);
	mem_cgroup_put(g);
	mem_cgroup_put(end);
}
