/*
 * growth.c - the same operations on a machine of any size, and as its memory fills up
 * and is used at random. tools/bench.py boots it with many numbers of CPUs and sizes
 * of memory.
 *
 * The other CPUs sleep, but for the last row: there all do pairs at once, and the
 * figure is all instructions of the machine over all pairs.
 */
#include "bench/bench.h"
#include "bench/fill.h"
#include "bench/vary.h"
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>

#define PAIRS 1000
#define REFILL 2048UL
#define ALL_PAIRS 2000

static const char *state; /* the column */

static void pair(const char *row, struct bench_job job)
{
	job.shape = SHAPE_PAIR;
	job.n = 8;
	bench_run(&job);
	job.n = PAIRS;
	bench_put(row, state, bench_each(&job));
}

static void refill(const char *row, struct bench_job job)
{
	u64 room = (nr_free_pages() << PAGE_SHIFT) / 4 / vary_bytes(&job);

	job.n = room < REFILL ? room : REFILL;
	if (!job.n)
		return;
	order_straight(job.n);
	job.shape = SHAPE_GET;
	bench_put(row, state, bench_each(&job));
	job.shape = SHAPE_PUT;
	bench_run(&job);
	mm_quiesce();
}

/* The worst of as many. */
static void worst(const char *row, struct bench_job job)
{
	u64 room = (nr_free_pages() << PAGE_SHIFT) / 4 / vary_bytes(&job);

	job.n = room < REFILL ? room : REFILL;
	order_straight(job.n);
	mm_quiesce();
	job.shape = SHAPE_GET_EACH;
	bench_run_each(&job);
	bench_put(row, state, bench_times[job.n - 1] * BENCH_ONE);
	job.shape = SHAPE_PUT;
	bench_run(&job);
	mm_quiesce();
}

static void pairs_here(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < ALL_PAIRS; i++)
		kfree_nolock(kmalloc_nolock(64, 0, NUMA_NO_NODE));
}

static void pairs_everywhere(const char *row)
{
	u64 t;

	on_each_cpu_thread(pairs_here, NULL);
	t = arch_rdtsc();
	on_each_cpu_thread(pairs_here, NULL);
	t = arch_rdtsc() - t;
	bench_put(row, state, t * BENCH_ONE / (ALL_PAIRS * num_online_cpus()));
}

static void objects(const char *what, vary_fn *fn, struct bench_job job)
{
	char row[BENCH_NAME];

	for (unsigned int i = 0; bench_sizes[i]; i++) {
		job.size = bench_sizes[i];
		snprintf(row, sizeof(row), "%s, %lu", what, (u64)job.size);
		fn(row, job);
	}
}

static void blocks(const char *what, vary_fn *fn)
{
	static const unsigned int orders[] = { 0, 3, 9 };
	struct bench_job job = { .call = CALL_PAGES, .gfp = GFP_KERNEL };
	char row[BENCH_NAME];

	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++) {
		job.order = orders[i];
		snprintf(row, sizeof(row), "%s, order %u", what, job.order);
		fn(row, job);
	}
}

static void all(const char *of)
{
	struct bench_job thread = { .call = CALL_NOLOCK }, nmi = { .call = CALL_NOLOCK, .ctx = CTX_NMI };

	state = of;
	objects("kmalloc_nolock + kfree_nolock", pair, thread);
	objects("kmalloc_nolock + kfree_nolock, NMI", pair, nmi);
	blocks("alloc_pages + free_pages", pair);
	objects("kmalloc_nolock, up to 2,048 in a row", refill, thread);
	blocks("alloc_pages, up to 2,048 in a row", refill);
	thread.size = 64;
	worst("kmalloc_nolock, worst of up to 2,048, 64", thread);
	pairs_everywhere("the first of 64 on all CPUs at once, loop included");
}

BENCH(growth, states, "as memory fills up, and after a random load, instructions an operation")
{
	static const struct {
		unsigned int percent;
		const char *name;
	} fill[] = { { 1, "1 %" }, { 50, "50 %" }, { 97, "97 %" }, { 99, "99 %" } };

	all("empty");
	for (unsigned int i = 0; i < ARRAY_SIZE(fill); i++) {
		fill_to(fill[i].percent);
		all(fill[i].name);
		fill_end();
		mm_quiesce();
	}
	load_run();
	mm_quiesce();
	all("loaded");
	load_end();
}
