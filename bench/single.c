/*
 * single.c - single operations over many held: the middle, the 99th in a hundred, and
 * the worst.
 *
 * 2,048 objects are taken one by one and held, then given back one by one; fewer
 * where that would be more than a third of memory. It starts with nothing cached.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "kernel/printk.h"
#include "mm/mm.h"

#define HELD 2048UL

static void put_times(const char *call, size_t size, u64 n)
{
	char row[BENCH_NAME];

	snprintf(row, sizeof(row), "%s, p50", call);
	bench_put_size(row, size, bench_times[n / 2] * BENCH_ONE);
	snprintf(row, sizeof(row), "%s, p99", call);
	bench_put_size(row, size, bench_times[n * 99 / 100] * BENCH_ONE);
	snprintf(row, sizeof(row), "%s, max", call);
	bench_put_size(row, size, bench_times[n - 1] * BENCH_ONE);
}

static void singles(const char *get, const char *put, struct bench_job job)
{
	u64 most = (nr_managed_pages() << PAGE_SHIFT) / 3;

	for (unsigned int i = 0; bench_sizes[i]; i++) {
		job.size = bench_sizes[i];
		job.n = HELD * job.size <= most ? HELD : most / job.size;
		if (job.n < HELD)
			bench_note("%lu bytes: %lu held", job.size, job.n);
		order_straight(job.n);
		mm_quiesce();
		job.shape = SHAPE_GET_EACH;
		bench_run_each(&job);
		put_times(get, job.size, job.n);
		job.shape = SHAPE_PUT_EACH;
		bench_run_each(&job);
		put_times(put, job.size, job.n);
	}
}

BENCH(single, thread, "single operations, 2,048 held, thread, instructions")
{
	singles("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK });
}

BENCH(single, nmi, "single operations, 2,048 held, NMI, instructions")
{
	singles("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_NMI });
}

BENCH(single, interrupt, "single operations, 2,048 held, interrupt, instructions")
{
	singles("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_IRQ });
}
