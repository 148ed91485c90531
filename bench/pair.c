/*
 * pair.c - an allocation and its free at once: what a call costs when all is at hand.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "kernel/printk.h"

#define ROUNDS 1000
#define WARM 4

/* By a call that takes a size, at each size; large ones come from the page layer. */
static void by_size(const char *row, struct bench_job job)
{
	for (unsigned int i = 0; bench_sizes[i]; i++) {
		job.size = bench_sizes[i];
		job.n = WARM;
		bench_run(&job);
		job.n = ROUNDS;
		bench_put_size(row, job.size, bench_each(&job));
	}
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

static void by_order(const char *row, struct bench_job job)
{
	char column[16];

	for (unsigned int i = 0; i < BENCH_NR_ORDERS; i++) {
		job.order = bench_orders[i];
		job.n = WARM;
		bench_run(&job);
		job.n = ROUNDS;
		snprintf(column, sizeof(column), "o%u", job.order);
		bench_put(row, column, bench_each(&job));
	}
}

static void make_nothing(void *obj)
{
	(void)obj;
}

static const struct {
	const char *name;
	enum context ctx;
} contexts[] = { { "thread", CTX_THREAD },
		 { "interrupt", CTX_IRQ },
		 { "NMI", CTX_NMI },
		 { "breakpoint", CTX_DEBUG } };

static void all_contexts(const char *name, struct bench_job job,
			 void (*fn)(const char *row, struct bench_job job))
{
	char row[BENCH_NAME];

	for (unsigned int i = 0; i < ARRAY_SIZE(contexts); i++) {
		snprintf(row, sizeof(row), "%s, %s", name, contexts[i].name);
		job.ctx = contexts[i].ctx;
		fn(row, job);
	}
}

BENCH(pair, objects, "one object allocated and freed, instructions a pair")
{
	struct bench_job job = { .shape = SHAPE_PAIR };

	job.call = CALL_NOLOCK;
	all_contexts("kmalloc_nolock + kfree_nolock", job, by_size);
	job.call = CALL_KMALLOC;
	job.gfp = GFP_KERNEL;
	by_size("kmalloc + kfree, thread", job);
	job.gfp = GFP_KERNEL | __GFP_ZERO;
	by_size("kmalloc + kfree, zeroed", job);
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

	all_contexts("alloc_pages_nolock + free_pages_nolock", job, by_order);
	job.call = CALL_PAGES;
	job.gfp = GFP_KERNEL;
	by_order("alloc_pages + free_pages", job);
	job.gfp = GFP_KERNEL | __GFP_ZERO;
	by_order("alloc_pages + free_pages, zeroed", job);
}
