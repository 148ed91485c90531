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
#include "bench/loop.h"
#include "kernel/hooks.h"
#include "mm/mm.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>

#define PAIRS 1000
#define REFILL 2048UL
#define ALL_PAIRS 2000

static void pair(const char *row, const char *state, struct bench_job job)
{
	job.shape = SHAPE_PAIR;
	job.n = 8;
	bench_run(&job);
	job.n = PAIRS;
	bench_put(row, state, bench_each(&job));
}

static void refill(const char *row, const char *state, struct bench_job job, u64 bytes)
{
	u64 room = (nr_free_pages() << PAGE_SHIFT) / 4 / bytes;

	job.n = room < REFILL ? room : REFILL;
	order_straight(job.n);
	job.shape = SHAPE_GET;
	bench_put(row, state, bench_each(&job));
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

static void pairs_everywhere(const char *row, const char *state)
{
	u64 t;

	on_each_cpu_thread(pairs_here, NULL);
	t = arch_rdtsc();
	on_each_cpu_thread(pairs_here, NULL);
	t = arch_rdtsc() - t;
	bench_put(row, state, t * BENCH_ONE / (ALL_PAIRS * num_online_cpus()));
}

static void all(const char *state)
{
	struct bench_job objects = { .call = CALL_NOLOCK, .size = 64 };
	struct bench_job pages = { .call = CALL_PAGES, .gfp = GFP_KERNEL };

	pair("kmalloc_nolock + kfree_nolock, 64", state, objects);
	pair("alloc_pages + free_pages, order 0", state, pages);
	pages.order = 3;
	pair("alloc_pages + free_pages, order 3", state, pages);
	pages.order = 0;
	refill("kmalloc_nolock, 64, up to 2,048 in a row", state, objects, 64);
	objects.size = 1024;
	refill("kmalloc_nolock, 1024, up to 2,048 in a row", state, objects, 1024);
	refill("alloc_pages, order 0, up to 2,048 in a row", state, pages, PAGE_SIZE);
	pairs_everywhere("the first on all CPUs at once, loop included", state);
}

BENCH(growth, states, "as memory fills up, and after a random load, instructions an operation")
{
	static const struct {
		unsigned int percent;
		const char *state;
	} fill[] = { { 1, "1 %" }, { 50, "50 %" }, { 97, "97 %" }, { 99, "99 %" } };

	all("empty");
	for (unsigned int i = 0; i < ARRAY_SIZE(fill); i++) {
		fill_to(fill[i].percent);
		all(fill[i].state);
		fill_end();
		mm_quiesce();
	}
	load_run();
	mm_quiesce();
	all("loaded");
	load_end();
}
