/*
 * vary.h - one operation in its variants: each size or order, each context, with and
 * without zeroing. A case gives what is to be done once for each; rows and columns get
 * their names here. CPU 0, thread context.
 */
#ifndef BENCH_VARY_H
#define BENCH_VARY_H

#include "bench/loop.h"

/* Measure that job once, and put what it gave into rows that begin with this name. */
typedef void vary_fn(const char *row, struct bench_job job);

/* fn(row, job) with each of the sizes; where the calls take pages, with each order. */
void vary_size(const char *row, struct bench_job job, vary_fn *fn);

/* The contexts (bits) that a kind of call is measured in: kmalloc and alloc_pages are not
 * for NMIs. */
#define VARY_NOLOCK (1u << CTX_THREAD | 1u << CTX_IRQ | 1u << CTX_NMI)
#define VARY_PLAIN (1u << CTX_THREAD | 1u << CTX_IRQ)
/* fn("name, context", job) in each of the contexts; fn itself sees to the sizes. */
void vary_context(const char *name, struct bench_job job, unsigned int contexts, vary_fn *fn);
/* The same, and then once more zeroed: "name, context, zeroed". */
void vary_all(const char *name, struct bench_job job, unsigned int contexts, vary_fn *fn);

/* A figure of the job; the column is its size or its order. */
void vary_put(const char *row, const struct bench_job *job, u64 hundredths);

/* What the job's calls give. */
bool vary_is_pages(const struct bench_job *job);
size_t vary_bytes(const struct bench_job *job);
/* How many of them fit into one part in `share` of memory, n at most. */
u64 vary_fit(const struct bench_job *job, u64 n, u64 share);
/* The rounds of a loop that gets `each` of them a round: fewer, if nearly all of it
 * is zeroing, which CONFIG=hardened and kasan do, or the like, of their own. */
u64 vary_rounds(const struct bench_job *job, u64 n, u64 each);

#endif
