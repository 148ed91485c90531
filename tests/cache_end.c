/*
 * cache_end.c - the end of a cache: with objects in use, with frees deferred on any
 * CPU (row 28 of docs/mutants.md), and while another CPU still frees its objects (row 48 of docs/mutants.md).
 */
#include <arch/cpu.h>
#include "kernel/hooks.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/keep.h"
#include "tests/test.h"

#define MAX_OBJS 4096
static void *objs[MAX_OBJS];
static struct kmem_cache *cache;

static bool begin(size_t size, unsigned int n)
{
	cache = kmem_cache_create("ending", size, 0, 0, NULL);
	EXPECT(cache != NULL);
	for (unsigned int i = 0; cache && i < n; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		EXPECT(objs[i] != NULL);
	}
	return cache;
}

static void give(unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++)
		kmem_cache_free(cache, objs[i]);
}

/* ---- objects in use ---- */

static void destroy_busy(void *unused)
{
	(void)unused;
	EXPECT_EQ(kmem_cache_destroy(cache), -EBUSY);
}

TEST(cache_end, in_use, "a cache with an object in use is reported, stays, and works on; then it can go")
{
	void *more;

	reports_begin();
	for (unsigned int used = 1; used <= 600; used = used * 3 + 1) {
		REQUIRE(begin(48, used + 300));
		give(used, used + 300);
		expect_reports_here(destroy_busy, NULL, 1, "objects in use");
		more = kmem_cache_alloc(cache, GFP_KERNEL);
		REQUIRE(more != NULL);
		give(0, used);
		expect_reports_here(destroy_busy, NULL, 1, "in 1 slabs");
		kmem_cache_free(cache, more);
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
	}
}

TEST(cache_end, in_another_magazine,
     "objects that other CPUs have freed and still keep do not hold a cache up")
{
	REQUIRE(begin(48, 8 * num_online_cpus()));
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		for (unsigned int i = 0; i < 8; i++)
			run_in(CTX_THREAD, cpu, (void (*)(void *))kfree, objs[cpu * 8 + i]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- what may not be destroyed at all ---- */

static void destroy_invalid(void *s)
{
	EXPECT_EQ(kmem_cache_destroy(s), -EINVAL);
}

static void shrink_invalid(void *s)
{
	EXPECT_EQ(kmem_cache_shrink(s), 0);
}

TEST(cache_end, invalid, "kmalloc's caches, caches destroyed before, and what is no cache are not destroyed")
{
	reports_begin();
	REQUIRE(begin(48, 0));
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
	expect_reports_here(destroy_invalid, cache, 1, "not a cache");
	expect_reports_here(shrink_invalid, cache, 1, "not a cache");
	for (u32 i = 1; i <= NR_KMALLOC; i++)
		expect_reports_here(destroy_invalid, &caches[i], 1, "is kmalloc's");
	expect_reports_here(destroy_invalid, &caches[0], 1, "not a cache");
	expect_reports_here(destroy_invalid, (char *)&caches[1] + 4, 1, "not a cache");
	expect_reports_here(destroy_invalid, &caches[MAX_CACHES], 1, "not a cache");
	expect_reports_here(destroy_invalid, objs, 1, "not a cache");
	expect_reports_here(shrink_invalid, (void *)0x8000000000000000, 1, "not a cache");
}

TEST(cache_end, slot_reused, "a cache made where another was has nothing left of it")
{
	u32 id = 0;

	for (size_t size = 8; size <= KMALLOC_MAX_CACHE_SIZE; size += size / 3 + 1) {
		REQUIRE(begin(size, 20));
		EXPECT(!id || cache->id == id); /* else this tests nothing */
		id = cache->id;
		EXPECT_EQ(ksize(objs[0]), size);
		give(0, 20);
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
		for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
			EXPECT_EQ(magazine_count(&caches[id], cpu), 0);
	}
}

/* ---- frees deferred ---- */

static u32 holding, destroying;

static void free_nolock(void *obj)
{
	kfree_nolock(obj);
}

static void fill_magazine(void)
{
	give(0, cache->limit);
	EXPECT_EQ(magazine_count(cache, smp_processor_id()), cache->limit);
}

/* No IPI is served on this CPU until some time after the destroy has begun. */
static void hold_interrupts(void *unused)
{
	u64 flags = arch_irq_save();

	(void)unused;
	fill_magazine();
	__atomic_store_n(&holding, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&destroying, __ATOMIC_ACQUIRE))
		cpu_relax();
	for (unsigned int i = 0; i < 20000; i++)
		cpu_relax();
	arch_irq_restore(flags);
}

static void hold_other(unsigned int cpu)
{
	holding = destroying = 0;
	cpu_thread_run(cpu, hold_interrupts, NULL);
	while (!__atomic_load_n(&holding, __ATOMIC_ACQUIRE))
		cpu_relax();
}

/* That CPU's magazine is full, and the other objects are freed there in NMIs. */
static void defer_on(unsigned int cpu, unsigned int n)
{
	u64 flags;

	if (cpu)
		hold_other(cpu);
	flags = arch_irq_save();
	if (!cpu)
		fill_magazine();
	for (unsigned int i = cache->limit; i < n; i++)
		run_in(CTX_NMI, cpu, free_nolock, objs[i]);
	EXPECT_EQ(defer_count(cpu), n - cache->limit);
	__atomic_store_n(&destroying, 1, __ATOMIC_RELEASE);
	arch_irq_restore(flags);
}

static void check_deferred(unsigned int cpu, unsigned int over)
{
	unsigned int n;

	test_frees_at_once();
	REQUIRE(begin(1024, 0));
	n = cache->limit + over;
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
	REQUIRE(n <= MAX_OBJS && begin(1024, n));
	kmem_cache_shrink(cache); /* empty magazines */
	defer_on(cpu, n);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
	if (cpu)
		cpu_thread_wait(cpu);
	EXPECT_EQ(defer_count(cpu), 0);
}

TEST(cache_end, deferred, "frees that wait on any CPU's deferral stack are done before the cache goes")
{
	if (!needs_magazines(1024))
		return;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		check_deferred(cpu, 1);
		check_deferred(cpu, 40);
	}
}

/* ---- while another CPU frees ---- */

static u32 begun;

static void free_slowly(void *arg)
{
	unsigned int n = *(unsigned int *)arg;

	for (unsigned int i = 0; i < n; i++) {
		__atomic_store_n(&begun, i + 1, __ATOMIC_RELEASE);
		kmem_cache_free(cache, objs[i]);
		for (unsigned int k = 0; k < 50; k++)
			cpu_relax();
	}
}

TEST(cache_end, beside_frees,
     "destroying again and again while another CPU frees: it ends when the last one is free")
{
	unsigned int n = MAX_OBJS, busy = 0;
	int err;

	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	mm_reports_quiet(true);
	REQUIRE(begin(120, n));
	begun = 0;
	cpu_thread_run(1, free_slowly, &n);
	while ((err = kmem_cache_destroy(cache)) == -EBUSY)
		busy++;
	EXPECT_EQ(err, 0);
	EXPECT_EQ(__atomic_load_n(&begun, __ATOMIC_ACQUIRE), n);
	cpu_thread_wait(1);
	test_expect_reports(busy);
	test_note("%u times too early", busy);
}
