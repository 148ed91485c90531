/*
 * pair.c - an allocation and its free at once: what a call costs when all is at hand.
 */
#include "bench/bench.h"
#include "bench/vary.h"

#define ROUNDS 1000
#define WARM 4

static void one_pair(const char *row, struct bench_job job)
{
	job.n = WARM;
	bench_run(&job);
	job.n = vary_rounds(&job, ROUNDS, 1);
	vary_put(row, &job, bench_each(&job));
}

static void by_size(const char *row, struct bench_job job)
{
	vary_size(row, job, one_pair);
}

static void by_cache(const char *row, enum bench_call call, void (*ctor)(void *), enum context ctx)
{
	struct bench_job job = { .call = call, .shape = SHAPE_PAIR, .ctx = ctx, .n = ROUNDS };

	for (unsigned int i = 0; i < BENCH_SLAB_SIZES; i++) {
		job.cache = bench_cache(bench_sizes[i], ctor);
		bench_run(&job);
		bench_put_size(row, bench_sizes[i], bench_each(&job));
		bench_cache_end(job.cache);
	}
}

static void make_nothing(void *obj)
{
	(void)obj;
}

#define IN_BREAKPOINT (1u << CTX_DEBUG)

BENCH(pair, objects, "one object allocated and freed, instructions a pair")
{
	struct bench_job job = { .call = CALL_NOLOCK, .shape = SHAPE_PAIR };

	vary_all("kmalloc_nolock + kfree_nolock", job, VARY_NOLOCK, by_size);
	vary_context("kmalloc_nolock + kfree_nolock", job, IN_BREAKPOINT, by_size);
	job.call = CALL_KMALLOC;
	job.gfp = GFP_KERNEL;
	vary_all("kmalloc + kfree", job, VARY_PLAIN, by_size);
	job.gfp = 0;
	job.call = CALL_NODE;
	by_size("kmalloc_nolock of a node + kfree_nolock", job);
	by_cache("kmem_cache_alloc + _free", CALL_CACHE, NULL, CTX_THREAD);
	by_cache("kmem_cache_alloc + _free, constructor", CALL_CACHE, make_nothing, CTX_THREAD);
	by_cache("kmem_cache_alloc_nolock + _free_nolock, NMI", CALL_CACHE_NOLOCK, NULL, CTX_NMI);
}

BENCH(pair, pages, "one block of pages allocated and freed, instructions a pair, by order")
{
	struct bench_job job = { .call = CALL_PAGES_NOLOCK, .shape = SHAPE_PAIR };

	vary_all("alloc_pages_nolock + free_pages_nolock", job, VARY_NOLOCK, by_size);
	vary_context("alloc_pages_nolock + free_pages_nolock", job, IN_BREAKPOINT, by_size);
	job.call = CALL_PAGES;
	job.gfp = GFP_KERNEL;
	vary_all("alloc_pages + free_pages", job, VARY_PLAIN, by_size);
}
