/*
 * fastpath.c - what one call does, instruction by instruction: how many, how many of
 * them locked, and how many cache lines of data, stack and code they touch.
 */
#include "bench/bench.h"
#include "bench/fill.h"
#include "bench/loop.h"
#include "bench/trace.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include <arch/cpu.h>

#define HELD 2048

struct call {
	enum bench_call call;
	const char *get, *put;
	size_t size; /* or order */
	gfp_t gfp;
	unsigned int n; /* calls traced */
	void *held[HELD];
	struct kmem_cache *cache;
};
static struct call now;

static void get_traced(void *arg)
{
	struct call *c = arg;

	for (unsigned int i = 0; i < c->n; i++) {
		trace_on();
		switch (c->call) {
		case CALL_KMALLOC:
			c->held[i] = kmalloc(c->size, c->gfp);
			break;
		case CALL_NODE:
			c->held[i] = kmalloc_nolock(c->size, c->gfp, 0);
			break;
		case CALL_CACHE:
			c->held[i] = kmem_cache_alloc(c->cache, c->gfp);
			break;
		case CALL_PAGES:
			c->held[i] = alloc_pages(c->gfp, (unsigned int)c->size);
			break;
		default:
			c->held[i] = kmalloc_nolock(c->size, c->gfp, NUMA_NO_NODE);
			break;
		}
		trace_off();
	}
}

static void put_traced(void *arg)
{
	struct call *c = arg;

	for (unsigned int i = 0; i < c->n; i++) {
		trace_on();
		switch (c->call) {
		case CALL_KMALLOC:
			kfree(c->held[i]);
			break;
		case CALL_CACHE:
			kmem_cache_free(c->cache, c->held[i]);
			break;
		case CALL_PAGES:
			free_pages(c->held[i], (unsigned int)c->size);
			break;
		default:
			kfree_nolock(c->held[i]);
			break;
		}
		trace_off();
	}
}

static void put_trace(const char *name, size_t size, const char *how, const struct trace *t)
{
	char row[BENCH_NAME];

	snprintf(row, sizeof(row), "%s %zu%s", name, size, how);
	bench_put(row, "instr.", t->insns * BENCH_ONE);
	bench_put(row, "locked", t->locked * BENCH_ONE);
	bench_put(row, "data", t->data_lines * BENCH_ONE);
	bench_put(row, "stack", t->stack_lines * BENCH_ONE);
	bench_put(row, "code", t->code_lines * BENCH_ONE);
}

/* With the CPU's stock at hand: the second pair. */
static void fast(enum bench_call call, const char *get, const char *put, size_t size, gfp_t gfp)
{
	struct trace t;

	now = (struct call){ .call = call, .get = get, .put = put, .size = size, .gfp = gfp, .n = 1 };
	if (call == CALL_CACHE)
		now.cache = bench_cache(size, NULL);
	get_traced(&now);
	put_traced(&now);
	trace_call(get_traced, &now, &t);
	put_trace(get, size, "", &t);
	trace_call(put_traced, &now, &t);
	put_trace(put, size, "", &t);
	bench_cache_end(now.cache);
}

/* The first after everything was given back: what a refill takes. */
static void refill(enum bench_call call, const char *get, size_t size)
{
	struct trace t;

	now = (struct call){ .call = call, .size = size, .n = 1 };
	mm_quiesce();
	trace_call(get_traced, &now, &t);
	put_trace(get, size, ", refill", &t);
	put_traced(&now);
}

BENCH(trace, calls, "one call: instructions, locked ones, distinct cache lines of data, stack and code")
{
	static const size_t sizes[] = { 8, 64, 96, 1024, 8192 };
	static const unsigned int orders[] = { 0, 3, 9 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		fast(CALL_NOLOCK, "kmalloc_nolock", "kfree_nolock", sizes[i], 0);
		fast(CALL_KMALLOC, "kmalloc", "kfree", sizes[i], GFP_KERNEL);
	}
	fast(CALL_CACHE, "kmem_cache_alloc", "kmem_cache_free", 64, GFP_KERNEL);
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++)
		fast(CALL_PAGES, "alloc_pages, order", "free_pages, order", orders[i], GFP_KERNEL);
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		refill(CALL_NOLOCK, "kmalloc_nolock", sizes[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++)
		refill(CALL_PAGES, "alloc_pages, order", orders[i]);
}

/* ---------------------------------------------------------------- profiles */

#define ROW 256

static void make_nothing(void *obj)
{
	(void)obj;
}

/* By function: 256 in a row from nothing, or of what the free of a row left. */
static void profile(enum bench_call call, size_t size, gfp_t gfp, const char *get, const char *put, bool cold)
{
	struct kmem_cache *cache = call == CALL_CACHE ? bench_cache(size, make_nothing) : NULL;
	struct trace t;

	now = (struct call){ .call = call, .size = size, .gfp = gfp, .n = ROW, .cache = cache };
	mm_quiesce();
	if (!cold) {
		get_traced(&now);
		put_traced(&now);
	}
	trace_call(get_traced, &now, &t);
	trace_put_profile(get, ROW);
	bench_put("(all)", get, t.insns * BENCH_ONE / ROW);
	bench_put("(locked)", get, t.locked * BENCH_ONE / ROW);
	trace_call(put_traced, &now, &t);
	trace_put_profile(put, ROW);
	bench_put("(all)", put, t.insns * BENCH_ONE / ROW);
	bench_put("(locked)", put, t.locked * BENCH_ONE / ROW);
	bench_cache_end(cache);
}

static void pairs_traced(void *arg)
{
	struct call *c = arg;
	unsigned int n = c->n;

	c->n = 1;
	for (unsigned int i = 0; i < n; i++) {
		get_traced(c);
		put_traced(c);
	}
	c->n = n;
}

static void profile_pairs(enum bench_call call, size_t size, const char *column)
{
	struct trace t;

	now = (struct call){ .call = call, .size = size, .n = ROW };
	pairs_traced(&now);
	trace_call(pairs_traced, &now, &t);
	trace_put_profile(column, ROW);
	bench_put("(all)", column, t.insns * BENCH_ONE / ROW);
	bench_put("(locked)", column, t.locked * BENCH_ONE / ROW);
}

BENCH(profile, objects, "256 in a row, cold, then freed: instructions each by function")
{
	profile(CALL_NOLOCK, 8, 0, "8", "8 free", true);
	profile(CALL_NOLOCK, 64, 0, "64", "64 free", true);
	profile(CALL_NOLOCK, 192, 0, "192", "192 free", true);
	profile(CALL_NOLOCK, 1024, 0, "1024", "1024 free", true);
	profile(CALL_NOLOCK, 2048, 0, "2048", "2048 free", true);
	profile(CALL_NOLOCK, 8192, 0, "8192", "8192 free", true);
}

/* The slowest of many single allocations, of those that find nothing prepared. */
static void profile_slowest(size_t size, const char *column)
{
	static void *held[HELD];
	u64 most = 0;
	struct trace t;

	mm_quiesce();
	now = (struct call){ .call = CALL_NOLOCK, .size = size, .n = 1 };
	for (unsigned int i = 0; i < HELD; i++) {
		trace_call(get_traced, &now, &t);
		held[i] = now.held[0];
		if (t.insns > most) {
			most = t.insns;
			trace_keep_profile();
		}
	}
	trace_put_kept(column, 1);
	bench_put("(all)", column, most * BENCH_ONE);
	for (unsigned int i = 0; i < HELD; i++)
		kfree_nolock(held[i]);
}

BENCH(profile, slowest, "the slowest of 2,048 single allocations: instructions by function")
{
	profile_slowest(64, "64");
	profile_slowest(1024, "1024");
	profile_slowest(8192, "8192");
}

BENCH(profile, warm, "256 in a row, warm, then freed: instructions each by function")
{
	profile(CALL_NOLOCK, 2048, 0, "2048", "2048 free", false);
	profile(CALL_NOLOCK, 4096, 0, "4096", "4096 free", false);
	profile(CALL_NOLOCK, 8192, 0, "8192", "8192 free", false);
	profile(CALL_NOLOCK, 65536, 0, "64K", "64K free", false);
	profile(CALL_NODE, 64, 0, "node 64", "node free", false);
}

BENCH(profile, pairs, "pairs, warm: instructions a pair by function")
{
	profile_pairs(CALL_KMALLOC, 64, "64");
	profile_pairs(CALL_KMALLOC, 96, "96");
	profile_pairs(CALL_NODE, 64, "node 64");
	profile_pairs(CALL_PAGES, 0, "o0");
	profile_pairs(CALL_PAGES, 6, "o6");
	profile_pairs(CALL_PAGES, 10, "o10");
	profile(CALL_CACHE, 64, GFP_KERNEL, "ctor 64", "free", false);
}

BENCH(profile, full, "with memory half full and nearly full, instructions by function")
{
	fill_to(50);
	profile(CALL_PAGES, 0, GFP_KERNEL, "50% o0", "o0 free", true);
	fill_to(99);
	profile_pairs(CALL_KMALLOC, 64, "99% 64");
	profile_pairs(CALL_PAGES, 0, "99% o0");
	fill_end();
}

BENCH(profile, pages, "256 blocks in a row, warm, then freed: instructions each by function")
{
	profile(CALL_PAGES, 0, 0, "o0", "o0 free", false);
	profile(CALL_PAGES, 3, 0, "o3", "o3 free", false);
	profile(CALL_PAGES, 6, 0, "o6", "o6 free", false);
	profile(CALL_PAGES, 8, 0, "o8", "o8 free", false);
	profile(CALL_PAGES, 9, 0, "o9", "o9 free", false);
}
