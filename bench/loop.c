/*
 * loop.c - the loops that are timed (loop.h).
 *
 * Each shape is one inlined function, put out once for each call, so that the
 * allocator is called directly and the empty loop differs by nothing but the call
 * and its arguments. The clock is read right before and right after.
 *
 * bench_run: CPU 0, thread context; the loop itself in any.
 */
#include "bench/loop.h"
#include "bench/bench.h"
#include "lib/random.h"
#include "kernel/run_in.h"
#include <arch/cpu.h>

void *bench_slot[BENCH_SLOTS];
u16 bench_order[BENCH_ORDER];
u32 bench_times[BENCH_SLOTS];

const size_t bench_sizes[] = { 8,   16,   32,   64,   96,    128,     192, 256,
			       512, 1024, 2048, 3000, 4096, 6000, 8192, 65536, 1048576, 0 };
const unsigned int bench_orders[BENCH_NR_ORDERS] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 };

/* ------------------------------------------------------------------ order */

void order_straight(u64 n)
{
	for (u64 i = 0; i < n; i++)
		bench_order[i] = (u16)i;
}

void order_shuffled(u64 n)
{
	struct rng r;

	rng_init(&r, n);
	order_straight(n);
	for (u64 i = n; i > 1; i--) {
		u64 j = rng_below(&r, i);
		u16 t = bench_order[j];

		bench_order[j] = bench_order[i - 1];
		bench_order[i - 1] = t;
	}
}

void order_random(u64 n)
{
	struct rng r;

	rng_init(&r, n);
	for (u64 i = 0; i < BENCH_ORDER; i++)
		bench_order[i] = (u16)rng_below(&r, n);
}

/* ------------------------------------------------------------- the shapes */

static __always_inline void *get(enum bench_call call, const struct bench_job *j, size_t size, gfp_t gfp)
{
	switch (call) {
	case CALL_KMALLOC:
		return kmalloc(size, gfp);
	case CALL_NOLOCK:
		return kmalloc_nolock(size, gfp, NUMA_NO_NODE);
	case CALL_NODE:
		return kmalloc_nolock(size, gfp, 0);
	case CALL_CACHE:
		return kmem_cache_alloc(j->cache, gfp);
	case CALL_CACHE_NOLOCK:
		return kmem_cache_alloc_nolock(j->cache, gfp, NUMA_NO_NODE);
	case CALL_PAGES:
		return alloc_pages(gfp, (unsigned int)size);
	case CALL_PAGES_NOLOCK:
		return alloc_pages_nolock(gfp, NUMA_NO_NODE, (unsigned int)size);
	default:
		return arch_no_call(NULL);
	}
}

static __always_inline void put(enum bench_call call, const struct bench_job *j, size_t size, void *p)
{
	switch (call) {
	case CALL_KMALLOC:
		kfree(p);
		break;
	case CALL_NOLOCK:
	case CALL_NODE:
		kfree_nolock(p);
		break;
	case CALL_CACHE:
		kmem_cache_free(j->cache, p);
		break;
	case CALL_CACHE_NOLOCK:
		kmem_cache_free_nolock(j->cache, p);
		break;
	case CALL_PAGES:
		free_pages(p, (unsigned int)size);
		break;
	case CALL_PAGES_NOLOCK:
		free_pages_nolock(p, (unsigned int)size);
		break;
	default:
		arch_no_call(p);
		break;
	}
}

/* The empty loop stores as well, but what others hold stays. */
static void *scratch[BENCH_SLOTS];

static __always_inline void one_round(enum bench_call call, enum bench_shape shape, const struct bench_job *j,
				      size_t size, gfp_t gfp, u64 i)
{
	void **slot = call == CALL_NONE ? scratch : bench_slot;

	switch (shape) {
	case SHAPE_PAIR:
		put(call, j, size, get(call, j, size, gfp));
		break;
	case SHAPE_GET:
	case SHAPE_GET_EACH:
		slot[i] = get(call, j, size, gfp);
		break;
	case SHAPE_PUT:
	case SHAPE_PUT_EACH:
		put(call, j, size, slot[bench_order[i]]);
		break;
	case SHAPE_REPLACE:
		put(call, j, size, slot[bench_order[i]]);
		slot[bench_order[i]] = get(call, j, size, gfp);
		break;
	}
}

static __always_inline void timed(enum bench_call call, enum bench_shape shape, struct bench_job *j)
{
	size_t size = call == CALL_PAGES || call == CALL_PAGES_NOLOCK ? j->order : j->size;
	gfp_t gfp = j->gfp;
	u64 n = j->n, t = arch_rdtsc();

	for (u64 i = 0; i < n; i++)
		one_round(call, shape, j, size, gfp, i);
	j->ticks = arch_rdtsc() - t;
}

static __always_inline void timed_each(enum bench_call call, enum bench_shape shape, struct bench_job *j)
{
	size_t size = call == CALL_PAGES || call == CALL_PAGES_NOLOCK ? j->order : j->size;
	gfp_t gfp = j->gfp;
	u64 n = j->n;

	j->ticks = 0;
	for (u64 i = 0; i < n; i++) {
		u64 t = arch_rdtsc();

		one_round(call, shape, j, size, gfp, i);
		t = arch_rdtsc() - t;
		bench_times[i] = (u32)t;
		j->ticks += t;
	}
}

static __always_inline void any_shape(enum bench_call call, struct bench_job *j)
{
	switch (j->shape) {
	case SHAPE_PAIR:
		timed(call, SHAPE_PAIR, j);
		break;
	case SHAPE_GET:
		timed(call, SHAPE_GET, j);
		break;
	case SHAPE_PUT:
		timed(call, SHAPE_PUT, j);
		break;
	case SHAPE_REPLACE:
		timed(call, SHAPE_REPLACE, j);
		break;
	case SHAPE_GET_EACH:
		timed_each(call, SHAPE_GET_EACH, j);
		break;
	case SHAPE_PUT_EACH:
		timed_each(call, SHAPE_PUT_EACH, j);
		break;
	}
}

static void run_here(void *arg)
{
	struct bench_job *j = arg;

	switch (j->call) {
	case CALL_NONE:
		any_shape(CALL_NONE, j);
		break;
	case CALL_KMALLOC:
		any_shape(CALL_KMALLOC, j);
		break;
	case CALL_NOLOCK:
		any_shape(CALL_NOLOCK, j);
		break;
	case CALL_NODE:
		any_shape(CALL_NODE, j);
		break;
	case CALL_CACHE:
		any_shape(CALL_CACHE, j);
		break;
	case CALL_CACHE_NOLOCK:
		any_shape(CALL_CACHE_NOLOCK, j);
		break;
	case CALL_PAGES:
		any_shape(CALL_PAGES, j);
		break;
	case CALL_PAGES_NOLOCK:
		any_shape(CALL_PAGES_NOLOCK, j);
		break;
	}
}

/* ---------------------------------------------------------------- running */

static u64 count_failed(const struct bench_job *j)
{
	u64 failed = 0;

	if (j->shape == SHAPE_GET || j->shape == SHAPE_GET_EACH)
		for (u64 i = 0; i < j->n; i++)
			failed += !bench_slot[i];
	return failed;
}

static void run_there(struct bench_job *j)
{
	u64 t = arch_rdtsc();

	if (j->ctx == CTX_THREAD && !j->cpu)
		run_here(j);
	else
		run_in(j->ctx, j->cpu, run_here, j);
	j->around = arch_rdtsc() - t;
}

void bench_run(struct bench_job *j)
{
	run_there(j);
	j->failed = count_failed(j);
	if (j->failed)
		bench_fail("an allocation failed");
}

/* The same loop around nothing: its ticks. */
static u64 empty_ticks(const struct bench_job *j)
{
	struct bench_job none = *j;

	none.call = CALL_NONE;
	run_here(&none);
	return none.ticks;
}

u64 bench_each(struct bench_job *j)
{
	u64 empty = empty_ticks(j);

	bench_run(j);
	return (j->ticks - empty) * BENCH_ONE / j->n;
}

u64 bench_each_with_rest(struct bench_job *j)
{
	struct bench_job none = *j;

	none.call = CALL_NONE;
	run_there(&none);
	bench_run(j);
	return (j->around - none.around) * BENCH_ONE / j->n;
}

/* Shell sort: a few thousand times, and no memory. */
void bench_sort_times(u64 n)
{
	for (u64 gap = n / 2; gap; gap /= 2)
		for (u64 i = gap; i < n; i++) {
			u32 v = bench_times[i];
			u64 k = i;

			for (; k >= gap && bench_times[k - gap] > v; k -= gap)
				bench_times[k] = bench_times[k - gap];
			bench_times[k] = v;
		}
}

void bench_run_each(struct bench_job *j)
{
	u32 clock = (u32)(empty_ticks(j) / j->n);

	bench_run(j);
	for (u64 i = 0; i < j->n; i++)
		bench_times[i] -= clock;
	bench_sort_times(j->n);
}

bool bench_clock_is_exact(void)
{
	const u64 rounds = 1000000;
	u64 t = arch_rdtsc(), spent;

	arch_loop(rounds);
	spent = arch_rdtsc() - t;
	return spent >= ARCH_LOOP_INSNS * rounds && spent <= ARCH_LOOP_INSNS * rounds + 20;
}

/* ----------------------------------------------------------------- caches */

struct kmem_cache *bench_cache(size_t size, void (*ctor)(void *))
{
	struct kmem_cache *s = kmem_cache_create("bench", size, 0, 0, ctor);

	if (!s)
		bench_fail("no cache");
	return s;
}

void bench_cache_end(struct kmem_cache *s)
{
	if (s && kmem_cache_destroy(s))
		bench_fail("the cache did not end");
}
