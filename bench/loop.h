/*
 * loop.h - the loops that are timed, and where they run.
 *
 * A job is one call of the allocator in one shape of loop. The same shape with
 * CALL_NONE is the empty loop: it sets up the same registers and stores, calls
 * nothing, and its time is what bench_each subtracts.
 */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "kernel/context.h"
#include <anyctx/slab.h>

enum bench_call {
	CALL_NONE,
	CALL_KMALLOC,      /* kmalloc, kfree */
	CALL_NOLOCK,       /* kmalloc_nolock, kfree_nolock */
	CALL_NODE,         /* kmalloc_nolock from node 0, kfree_nolock */
	CALL_CACHE,        /* kmem_cache_alloc, kmem_cache_free */
	CALL_CACHE_NOLOCK, /* and their _nolock forms */
	CALL_PAGES,        /* alloc_pages, free_pages */
	CALL_PAGES_NOLOCK, /* and their _nolock forms */
};

enum bench_shape {
	SHAPE_PAIR,    /* get and put, n times */
	SHAPE_GET,     /* n gets in a row, kept in slot[] */
	SHAPE_PUT,     /* n puts in a row: slot[order[i]] */
	SHAPE_REPLACE, /* n times: put slot[order[i]], get a new one for it */
	SHAPE_GET_EACH, /* as GET and PUT, each call timed by itself: each[] */
	SHAPE_PUT_EACH,
};

#define BENCH_SLOTS 10000UL
#define BENCH_ORDER 65536UL

struct bench_job {
	enum bench_call call;
	enum bench_shape shape;
	enum context ctx;
	unsigned int cpu, order; /* of pages */
	size_t size;
	gfp_t gfp;
	struct kmem_cache *cache;
	u64 n;
	u64 ticks;  /* out: of the whole loop */
	u64 around; /* out: with the way there and back, and what came right after */
	u64 failed; /* out: NULLs */
};

/* Shared by all jobs: what is held, in which order it is put, and single times. */
extern void *bench_slot[BENCH_SLOTS];
extern u16 bench_order[BENCH_ORDER];
extern u32 bench_times[BENCH_SLOTS];

/* bench_order: 0, 1, 2 ...; the same shuffled; or any slot below n, again and again. */
void order_straight(u64 n);
void order_shuffled(u64 n);
void order_random(u64 n);

/* Run it once where it says; ticks includes the loop. */
void bench_run(struct bench_job *job);
/* The same: hundredths of a tick a round, without the loop. */
u64 bench_each(struct bench_job *job);
/* The same around it: what the operations have put off, and the thread finds done, counts. */
u64 bench_each_with_rest(struct bench_job *job);
/* The same for a shape of single times, which it leaves sorted, without the clock's own. */
void bench_run_each(struct bench_job *job);
void bench_sort_times(u64 n);

/* What the clock counts: false if it is not instructions, exactly. */
bool bench_clock_is_exact(void);

/* Cache of objects of that size for CALL_CACHE; end it with bench_cache_end. */
struct kmem_cache *bench_cache(size_t size, void (*ctor)(void *));
void bench_cache_end(struct kmem_cache *s);

/* The sizes of every table by size, 0 at the end; and its orders of pages. */
extern const size_t bench_sizes[];
#define BENCH_SLAB_SIZES 15 /* as many come from slabs */
extern const unsigned int bench_orders[];
#define BENCH_NR_ORDERS 11

#endif
