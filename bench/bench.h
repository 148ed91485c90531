/*
 * bench.h - what a benchmark file includes. A case is
 *
 *	BENCH(pair, thread, "alloc and free at once, in a thread")
 *	{
 *		...
 *		bench_put("kmalloc + kfree", "64", bench_each(&job));
 *	}
 *
 * in any file of bench/: the build finds the file, a linker section the case. A case
 * fills one table, rows by columns; the runner prints it, once for people and once
 * as lines that tools/bench.py reads. Cases run on CPU 0 in thread context with
 * interrupts on, no timer ticking, the other CPUs asleep.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <anyctx/types.h>

struct bench_case {
	const char *suite, *name, *what;
	void (*run)(void);
};

#define BENCH(bsuite, bname, bwhat) \
	static void bench_##bsuite##_##bname(void); \
	static const struct bench_case benchcase_##bsuite##_##bname \
		__section("benchcases") __used __aligned(8) = { \
		.suite = #bsuite, .name = #bname, .what = bwhat, \
		.run = bench_##bsuite##_##bname }; \
	static void bench_##bsuite##_##bname(void)

/* Room for the name of a row, with its 0. */
#define BENCH_NAME 72

/* Figures are kept in hundredths. */
#define BENCH_ONE 100UL

/* A figure of the case that runs; rows and columns stand in the order of their first figure. */
void bench_put(const char *row, const char *column, u64 hundredths);
/* The same with the column named by a size in bytes: 8, 64K, 1M. */
void bench_put_size(const char *row, size_t size, u64 hundredths);
/* A remark for people, printed at once. */
void bench_note(const char *fmt, ...) __printf(1, 2);
/* The figures of this case would be wrong (why): the run fails. */
void bench_fail(const char *why);

/* Runs all cases whose "suite.name" matches the pattern (comma-separated, `*` at the
 * end); returns how many failed, and at least 1 if the clock counts no instructions. */
unsigned int run_benches(const char *pattern);

#endif
