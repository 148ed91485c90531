/*
 * bulk.c - many objects at once: out of the magazine and back by batches.
 *
 * An allocation moves up to 32 objects out of the magazine by one restartable
 * sequence; what the magazine has not comes the long way, which refills it. So it says
 * no exactly when a single call would. A free takes a run of up to 32 pointers that are
 * objects in use of one cache, marks each as free, and pushes them by one sequence; what
 * there is no room for goes into its slabs, objects of one slab by one swap.
 *
 * Invariant: of the objects of one call at most one run, 32 (1 while memory is tight),
 * are marked as free and not yet where others find them; none is when a pointer is
 * looked at that does not belong to the run. So one that is there twice is found.
 *
 * All functions: any context.
 */
#include "lib/string.h"
#include "mm/cache.h"
#include "mm/fast.h"
#include <anyctx/smp.h>

/* Has the cache magazines at all? */
static bool keeps_objects(const struct kmem_cache *s)
{
	const struct cache_cpu *c = this_cpu_ptr(cache_cpu[s->id]);

	return c->floor != c->end;
}

/* ---------------------------------------------------------------- freeing */

/* Each into its slab. */
static void put_home(struct kmem_cache *s, void *const *objs, unsigned int n)
{
	void *some[MAG_BATCH];

	for (unsigned int i = 0; i < n; i++)
		some[i] = objs[i];
	slabs_put(s, some, n);
}

/* n <= MAG_BATCH marked objects, wherever there is room for them. */
static void put_run(struct kmem_cache *s, void *const *objs, unsigned int n)
{
	bool opened = false, touched = false;

	while (n && !mm_tight) {
		u64 went = magazine_push_many(s, objs, n);

		touched = true;
		objs += went;
		n -= (unsigned int)went;
		if (!n || (!went && opened))
			break;
		if (!went)
			magazine_open(s); /* it may only be closed */
		opened = !went;
	}
	if (n)
		put_home(s, objs, n);
	if (touched && unlikely(mm_tight)) /* since when? */
		magazine_close(s);
}

/* Is p, below max_pfn, the start of an object of s? */
static __always_inline bool starts(const struct kmem_cache *s, const void *p)
{
	u64 off = READ_ONCE(*frame_cache(addr_pfn(p)));

	if ((off & ~FRAME_CLOSER) != CPU_OFF(s->id))
		return false;
	return start_of(p, off) || slab_index(s, obj_slab(p), p) >= 0;
}

/* Mark the objects of s in use at the start of objs, as many as make a run: how many. */
static unsigned int mark_run(struct kmem_cache *s, void *const *objs, size_t n)
{
	const u64 end = max_pfn, offset = s->offset;
	unsigned int most = mm_tight ? 1 : n < MAG_BATCH ? (unsigned int)n : MAG_BATCH, i = 0;

	for (; i < most; i++) {
		void *p = objs[i];

		if (addr_pfn(p) >= end || !starts(s, p))
			break;
		if (mark_get(p, (u32)offset) == free_mark)
			break; /* perhaps in this run */
		object_give(s, p, (u32)offset);
	}
	return i;
}

static bool of_cache(const void *p, const struct kmem_cache *s)
{
	u64 pfn = addr_pfn(p);

	return pfn < max_pfn && page_cpu_off(pfn_page(pfn)) == CPU_OFF(s->id);
}

/* The cache that p may be an object of, if it has magazines; else NULL. */
static struct kmem_cache *keeping_cache(const void *p)
{
	u64 pfn = addr_pfn(p);
	struct kmem_cache *s;

	if (pfn >= max_pfn || READ_ONCE(pfn_page(pfn)->type) != PT_SLAB)
		return NULL;
	s = cache_at(*frame_cache(pfn));
	return keeps_objects(s) ? s : NULL;
}

/* As many as make a run, from objs on: how many. */
static unsigned int free_run(struct kmem_cache *s, void *const *objs, size_t n)
{
	unsigned int run;

	mm_begin();
	moving_begin(s->id); /* before the first is marked */
	run = mark_run(s, objs, n);
	if (run)
		put_run(s, objs, run);
	moving_end(s->id);
	mm_end();
	return run;
}

/* want: the cache that all are to be of; NULL: any. */
static void free_bulk(const char *call, struct kmem_cache *want, size_t n, void *const *objs)
{
	size_t run;

	for (size_t i = 0; i < n; i += run ? run : 1) {
		void *p = objs[i];
		struct kmem_cache *s = keeping_cache(p);

		run = 0;
		if (want && !p)
			continue;
		if (want && !of_cache(p, want)) {
			cache_free_wrong(call, want, p);
			continue;
		}
		if (s)
			run = free_run(s, objs + i, n - i);
		if (!run)
			free_uncommon(p, call);
	}
}

void kfree_bulk(size_t n, void **objs)
{
	free_bulk("kfree_bulk", NULL, n, objs);
}

void kfree_bulk_nolock(size_t n, void **objs)
{
	free_bulk("kfree_bulk_nolock", NULL, n, objs);
}

void kmem_cache_free_bulk(struct kmem_cache *s, size_t n, void **objs)
{
	if (!bad_cache_pointer("kmem_cache_free_bulk", s))
		free_bulk("kmem_cache_free_bulk", s, n, objs);
}

void kmem_cache_free_bulk_nolock(struct kmem_cache *s, size_t n, void **objs)
{
	if (!bad_cache_pointer("kmem_cache_free_bulk_nolock", s))
		free_bulk("kmem_cache_free_bulk_nolock", s, n, objs);
}

/* ------------------------------------------------------------- allocating */

/* Up to n objects that are at hand; how many. One that was written to while it was
 * free is reported, and nobody gets it. */
static size_t take_some(struct kmem_cache *s, size_t n, void **objs)
{
	u64 got, i = 0;

	mm_begin();
	moving_begin(s->id);
	got = magazine_pop_many(s, objs, n < MAG_BATCH ? n : MAG_BATCH);
	while (i < got) {
		if (likely(object_sound(s, objs[i]))) {
			object_take(s, objs[i++], s->offset);
			continue;
		}
		object_lost(s, objs[i]);
		objs[i] = objs[--got];
	}
	moving_end(s->id);
	mm_end();
	return got;
}

static bool bad_alloc_args(const char *call, const struct kmem_cache *s, gfp_t gfp, int node)
{
	if (gfp & ~GFP_VALID_MASK)
		mm_report(call, NULL, "unknown gfp flags 0x%x", gfp & ~GFP_VALID_MASK);
	else if (gfp & __GFP_ACCOUNT && !(s->flags & SLAB_ACCOUNT))
		mm_report(call, s, "__GFP_ACCOUNT, and cache %s has no SLAB_ACCOUNT", s->name);
	else if (node != NUMA_NO_NODE && (node < 0 || node >= (int)num_nodes()))
		mm_report(call, NULL, "node %d is out of range (0 to %u)", node, num_nodes() - 1);
	else
		return false;
	return true;
}

static size_t alloc_bulk(const char *call, struct kmem_cache *s, gfp_t gfp, int node, size_t n, void **objs)
{
	bool at_hand = node == NUMA_NO_NODE && !(gfp & ~(GFP_PLAIN | __GFP_ZERO));
	size_t have = 0;

	if (bad_cache_pointer(call, s) || bad_alloc_args(call, s, gfp, node))
		return 0;
	while (have < n) {
		size_t got = at_hand ? take_some(s, n - have, objs + have) : 0;

		if (!got) {
			objs[have] = cache_alloc_slow(s, gfp, node);
			got = objs[have] != NULL;
		}
		if (!got) {
			free_bulk(call, s, have, objs);
			return 0;
		}
		have += got;
	}
	if (gfp & __GFP_ZERO && !s->ctor)
		for (size_t i = 0; i < n; i++)
			memset(objs[i], 0, s->size);
	return n;
}

size_t kmem_cache_alloc_bulk(struct kmem_cache *s, gfp_t gfp, size_t n, void **objs)
{
	return alloc_bulk("kmem_cache_alloc_bulk", s, gfp, NUMA_NO_NODE, n, objs);
}

size_t kmem_cache_alloc_bulk_nolock(struct kmem_cache *s, gfp_t gfp, int node, size_t n, void **objs)
{
	return alloc_bulk("kmem_cache_alloc_bulk_nolock", s, gfp & ~__GFP_RECLAIM, node, n, objs);
}
