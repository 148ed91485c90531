/*
 * remote.c - one CPU allocates, another frees: what it costs each, in the steady state.
 *
 * CPU 0 takes a batch, then CPU 1 gives it back, in its thread or in an NMI. The clock
 * counts the instructions of all CPUs, so the one whose turn it is not waits by `pause`,
 * at which the emulator turns to the other. SMP=2 and more.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

#define WARM 20
#define ROUNDS 40

static void one_batch(struct bench_job *get, struct bench_job *put, const char *column)
{
	u64 gets = 0, puts = 0;
	char row[BENCH_NAME];

	for (unsigned int i = 0; i < WARM + ROUNDS; i++) {
		u64 g = bench_each(get), p = bench_each(put);

		if (i >= WARM) {
			gets += g;
			puts += p;
		}
	}
	snprintf(row, sizeof(row), "kmalloc_nolock on CPU 0, batch %lu", get->n);
	bench_put(row, column, gets / ROUNDS);
	snprintf(row, sizeof(row), "kfree_nolock on CPU 1, %s, batch %lu",
		 put->ctx == CTX_NMI ? "NMI" : "thread", get->n);
	bench_put(row, column, puts / ROUNDS);
}

static void by_size(u64 batch, enum context ctx)
{
	static const size_t sizes[] = { 8, 64, 256, 1024, 4096, 8192, 65536 };

	order_straight(batch);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct bench_job get = { CALL_NOLOCK, SHAPE_GET, .size = sizes[i], .n = batch };
		struct bench_job put = get;
		char column[16];

		put.shape = SHAPE_PUT;
		put.ctx = ctx;
		put.cpu = 1;
		snprintf(column, sizeof(column), "%zu", sizes[i]);
		if (sizes[i] * batch < (nr_managed_pages() << PAGE_SHIFT) / 2)
			one_batch(&get, &put, column);
		mm_quiesce();
	}
}

BENCH(remote, batches, "allocated on one CPU, freed on another, instructions each")
{
	if (num_online_cpus() < 2) {
		bench_note("needs a second CPU");
		return;
	}
	by_size(32, CTX_THREAD);
	by_size(256, CTX_THREAD);
	by_size(2048, CTX_THREAD);
	by_size(32, CTX_NMI);
	by_size(256, CTX_NMI);
}
