/*
 * replace.c - random replacement: 10,000 objects are held; again and again one of them,
 * chosen at random, is freed and another is allocated for it. Of those that half of memory
 * has no room for so many of, 200.
 */
#include "bench/bench.h"
#include "bench/vary.h"
#include "lib/random.h"
#include "mm/mm.h"
#include <arch/cpu.h>

#define ROUNDS 65536UL
#define FEW 200UL

static void all_slots(struct bench_job job, enum bench_shape shape, u64 n)
{
	job.n = n;
	job.shape = shape;
	job.gfp &= ~__GFP_ZERO; /* that is for those that are timed */
	bench_run(&job);
}

static void one(const char *row, struct bench_job job, u64 slots)
{
	all_slots(job, SHAPE_GET, slots);
	order_random(slots);
	job.n = vary_rounds(&job, ROUNDS, 1);
	job.shape = SHAPE_REPLACE;
	vary_put(row, &job, bench_each(&job));
	order_straight(slots);
	all_slots(job, SHAPE_PUT, slots);
	mm_quiesce();
}

/* Where half of memory has room for all of them. */
static void many(const char *row, struct bench_job job)
{
	if (vary_fit(&job, BENCH_SLOTS, 2) == BENCH_SLOTS)
		one(row, job, BENCH_SLOTS);
}

/* Where it has not. */
static void few(const char *row, struct bench_job job)
{
	if (vary_fit(&job, BENCH_SLOTS, 2) < BENCH_SLOTS && vary_fit(&job, FEW, 2) == FEW)
		one(row, job, FEW);
}

static void sizes_many(const char *row, struct bench_job job)
{
	vary_size(row, job, many);
}

static void sizes_few(const char *row, struct bench_job job)
{
	vary_size(row, job, few);
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

static const struct bench_job nolock = { .call = CALL_NOLOCK };
static const struct bench_job plain = { .call = CALL_KMALLOC, .gfp = GFP_KERNEL };
static const struct bench_job pages_nolock = { .call = CALL_PAGES_NOLOCK };
static const struct bench_job pages = { .call = CALL_PAGES, .gfp = GFP_KERNEL };

BENCH(replace, random, "10,000 held, one chosen at random is freed and replaced, instructions a replacement")
{
	vary_all("kfree_nolock + kmalloc_nolock", nolock, VARY_NOLOCK, sizes_many);
	vary_all("kfree + kmalloc", plain, VARY_PLAIN, sizes_many);
	run_mixed("kfree + kmalloc, thread");
}

BENCH(replace, pages, "the same with pages")
{
	vary_all("free_pages_nolock + alloc_pages_nolock", pages_nolock, VARY_NOLOCK, sizes_many);
	vary_all("free_pages + alloc_pages", pages, VARY_PLAIN, sizes_many);
}

BENCH(replace, few, "the same with 200 held, of what memory has no room for 10,000 of")
{
	vary_all("200, kfree_nolock + kmalloc_nolock", nolock, VARY_NOLOCK, sizes_few);
	vary_all("200, kfree + kmalloc", plain, VARY_PLAIN, sizes_few);
	vary_all("200, free_pages_nolock + alloc_pages_nolock", pages_nolock, VARY_NOLOCK, sizes_few);
	vary_all("200, free_pages + alloc_pages", pages, VARY_PLAIN, sizes_few);
}
