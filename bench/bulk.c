/*
 * bulk.c - n objects got and put: by the calls for many, and by single calls of the
 * same cache; instructions an object of both together. Warm: n are at hand.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "kernel/printk.h"
#include <arch/cpu.h>

#define MOST 256
#define ROUNDS 50

static void *objs[MOST];

static __noinline void by_bulk(struct kmem_cache *s, size_t n)
{
	if (kmem_cache_alloc_bulk_nolock(s, 0, NUMA_NO_NODE, n, objs) != n)
		bench_fail("no memory");
	else
		kmem_cache_free_bulk_nolock(s, n, objs);
}

static __noinline void by_single(struct kmem_cache *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		objs[i] = kmem_cache_alloc_nolock(s, 0, NUMA_NO_NODE);
	for (size_t i = 0; i < n; i++)
		kmem_cache_free_nolock(s, objs[i]);
}

static __noinline void by_kmalloc(struct kmem_cache *s, size_t n)
{
	size_t size = kmem_cache_size(s);

	for (size_t i = 0; i < n; i++)
		objs[i] = kmalloc_nolock(size, 0, NUMA_NO_NODE);
	for (size_t i = 0; i < n; i++)
		kfree_nolock(objs[i]);
}

static void make_nothing(void *obj)
{
	(void)obj;
}

static void row(const char *name, void (*way)(struct kmem_cache *s, size_t n), size_t size, void (*ctor)(void *))
{
	struct kmem_cache *s = bench_cache(size, ctor);
	char full[BENCH_NAME], column[16];

	snprintf(full, sizeof(full), "%s, %lu B%s", name, (u64)size, ctor ? ", constructor" : "");
	for (size_t n = 1; n <= MOST; n *= n == 1 ? 8 : n < 32 ? 4 : 8) {
		u64 t;

		way(s, n);
		t = arch_rdtsc();
		for (unsigned int i = 0; i < ROUNDS; i++)
			way(s, n);
		snprintf(column, sizeof(column), "%lu", (u64)n);
		bench_put(full, column, (arch_rdtsc() - t) * BENCH_ONE / (n * ROUNDS));
	}
	bench_cache_end(s);
}

BENCH(bulk, objects, "n objects got and put, instructions an object")
{
	static const size_t sizes[] = { 64, 100, 1024 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		row("alloc_bulk + free_bulk", by_bulk, sizes[i], NULL);
		row("single calls of the cache", by_single, sizes[i], NULL);
		row("kmalloc_nolock + kfree_nolock", by_kmalloc, sizes[i], NULL);
	}
	row("alloc_bulk + free_bulk", by_bulk, 64, make_nothing);
	row("single calls of the cache", by_single, 64, make_nothing);
}
