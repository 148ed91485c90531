/*
 * replace.c - random replacement: 10,000 objects are held; again and again one of them,
 * chosen at random, is freed and another is allocated for it.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "lib/random.h"
#include "mm/mm.h"
#include <arch/cpu.h>

#define ROUNDS 65536UL

static void one_size(const char *row, struct bench_job job)
{
	job.n = BENCH_SLOTS;
	job.shape = SHAPE_GET;
	bench_run(&job);
	order_random(BENCH_SLOTS);
	job.n = ROUNDS;
	job.shape = SHAPE_REPLACE;
	bench_put_size(row, job.size, bench_each(&job));
	order_straight(BENCH_SLOTS);
	job.n = BENCH_SLOTS;
	job.shape = SHAPE_PUT;
	bench_run(&job);
	mm_quiesce();
}

static void by_size(const char *row, struct bench_job job)
{
	for (unsigned int i = 0; bench_sizes[i]; i++) {
		job.size = bench_sizes[i];
		if (job.size * BENCH_SLOTS < (nr_managed_pages() << PAGE_SHIFT) / 2)
			one_size(row, job);
	}
}

/* ------------------------------------------------------- sizes of all sorts */

#define MIXED_MIN 16
#define MIXED_MAX 1024
static u16 mixed_size[ROUNDS];

static __always_inline u64 mixed(bool call)
{
	static void *scratch[BENCH_SLOTS];
	void **slot = call ? bench_slot : scratch;
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROUNDS; i++) {
		void **at = &slot[bench_order[i]];
		size_t size = mixed_size[i];

		if (call) {
			kfree(*at);
			*at = kmalloc(size, GFP_KERNEL);
		} else {
			arch_no_call(*at);
			*at = arch_no_call((void *)size);
		}
	}
	return arch_rdtsc() - t;
}

static void run_mixed(const char *row)
{
	struct rng r;
	u64 empty;

	rng_init(&r, 1);
	for (u64 i = 0; i < ROUNDS; i++)
		mixed_size[i] = (u16)(MIXED_MIN + rng_below(&r, MIXED_MAX - MIXED_MIN + 1));
	for (u64 i = 0; i < BENCH_SLOTS; i++)
		bench_slot[i] = kmalloc(mixed_size[i], GFP_KERNEL);
	order_random(BENCH_SLOTS);
	empty = mixed(false);
	bench_put(row, "16-1K", (mixed(true) - empty) * BENCH_ONE / ROUNDS);
	for (u64 i = 0; i < BENCH_SLOTS; i++)
		kfree(bench_slot[i]);
}

BENCH(replace, random, "10,000 held, one chosen at random is freed and replaced, instructions a replacement")
{
	by_size("kfree_nolock + kmalloc_nolock", (struct bench_job){ .call = CALL_NOLOCK });
	by_size("kfree_nolock + kmalloc_nolock, NMI",
		(struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_NMI });
	by_size("kfree + kmalloc", (struct bench_job){ .call = CALL_KMALLOC, .gfp = GFP_KERNEL });
	run_mixed("kfree + kmalloc");
}
