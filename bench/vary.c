/*
 * vary.c - one operation in its variants (vary.h). CPU 0, thread context.
 */
#include "bench/vary.h"
#include "bench/bench.h"
#include "kernel/printk.h"
#include "kernel/run_in.h"
#include "mm/mm.h"

#define TOUCHED_MOST (64UL << 20) /* bytes that one loop has zeroed or checked */
#define LEAST_ROUNDS 8

static const char *const context_label[NR_CONTEXT] = { "thread", "interrupt", "NMI", "breakpoint" };

bool vary_is_pages(const struct bench_job *job)
{
	return job->call == CALL_PAGES || job->call == CALL_PAGES_NOLOCK;
}

size_t vary_bytes(const struct bench_job *job)
{
	return vary_is_pages(job) ? PAGE_SIZE << job->order : job->size;
}

u64 vary_fit(const struct bench_job *job, u64 n, u64 share)
{
	u64 fit = (nr_managed_pages() << PAGE_SHIFT) / share / vary_bytes(job);

	return fit < n ? fit : n;
}

/* Over its whole length, as the caller or the build wishes. */
static bool is_touched(const struct bench_job *job)
{
	return CONFIG_HARDENED || CONFIG_KASAN || job->gfp & __GFP_ZERO;
}

u64 vary_rounds(const struct bench_job *job, u64 n, u64 each)
{
	u64 most = TOUCHED_MOST / (vary_bytes(job) * each);

	if (!is_touched(job) || n <= most)
		return n;
	return most > LEAST_ROUNDS ? most : LEAST_ROUNDS;
}

void vary_put(const char *row, const struct bench_job *job, u64 hundredths)
{
	char column[16];

	if (vary_is_pages(job)) {
		snprintf(column, sizeof(column), "o%u", job->order);
		bench_put(row, column, hundredths);
	} else {
		bench_put_size(row, job->size, hundredths);
	}
}

void vary_size(const char *row, struct bench_job job, vary_fn *fn)
{
	if (vary_is_pages(&job)) {
		for (unsigned int i = 0; i < BENCH_NR_ORDERS; i++) {
			job.order = bench_orders[i];
			fn(row, job);
		}
		return;
	}
	for (unsigned int i = 0; bench_sizes[i]; i++) {
		job.size = bench_sizes[i];
		fn(row, job);
	}
}

static void in_context(const char *name, struct bench_job job, enum context c, vary_fn *fn)
{
	char row[BENCH_NAME];

	snprintf(row, sizeof(row), "%s, %s%s", name, context_label[c], job.gfp & __GFP_ZERO ? ", zeroed" : "");
	job.ctx = c;
	if (c != CTX_THREAD)
		job.gfp &= ~__GFP_RECLAIM;
	fn(row, job);
}

void vary_context(const char *name, struct bench_job job, unsigned int contexts, vary_fn *fn)
{
	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		if (contexts >> c & 1)
			in_context(name, job, (enum context)c, fn);
}

void vary_all(const char *name, struct bench_job job, unsigned int contexts, vary_fn *fn)
{
	vary_context(name, job, contexts, fn);
	job.gfp |= __GFP_ZERO;
	vary_context(name, job, contexts, fn);
}
