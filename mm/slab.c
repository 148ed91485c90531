/*
 * slab.c - one slab: a block of pages cut into equal objects.
 *
 * Invariants. (1) The free objects of a slab are exactly those on the chain
 * that its state word heads, and the word's count is the chain's length; objects
 * in magazines and on deferral stacks count as not free here. (2) A slab with
 * ON-LIST set is on one stack or in the hands of one call; with it clear it is
 * on none and has no free object. (3) The state word changes only by one locked
 * compare-and-swap with a new sequence, so a walker with an old view of the
 * stacks or of the slab cannot change anything.
 *
 * All functions: any context, any CPU.
 */
#include "mm/memcg.h"
#include "mm/slab_debug.h"
#include "mm/typesafe.h"
#include <anyctx/smp.h>
#include <arch/fetch.h>

static bool cas_state(struct page *head, u64 *old, u64 new)
{
	return __atomic_compare_exchange_n(&head->state, old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/*
 * Addresses of the direct map are q * stride + r with 0 <= r < stride, q negative in the
 * kernel and positive in a process. m is 2^64 / stride, so rounded that q * stride * m
 * comes out, modulo 2^64, as a small positive number: below 2^47, as |q * stride| is; and
 * the address times m as r * m and that. It is below m only if r is 0.
 */
u64 slab_start_mul(u32 stride)
{
	u64 m = ~0UL / stride; /* down, unless it is a power of two */

	return (s64)DIRECT_MAP_BASE > 0 || !(stride & (stride - 1)) ? m + 1 : m;
}

/* The first object: r bytes are missing to the multiple of stride before. */
static char *slab_start(const struct kmem_cache *s, const struct page *head)
{
	u64 start = (u64)pfn_addr(page_pfn(head)), r;

	if (!s->shifted || !slab_shifted(s, READ_ONCE(head->order)))
		return (char *)start + s->red_left;
	r = (u64)((unsigned __int128)(start * s->start_mul) * s->stride >> 64);
	return (char *)start + (r ? s->stride - r : 0);
}

void *slab_object(const struct kmem_cache *s, const struct page *head, unsigned int idx)
{
	return slab_start(s, head) + (u64)idx * s->stride;
}

int slab_index(const struct kmem_cache *s, const struct page *head, const void *p)
{
	u64 off = (u64)p - (u64)slab_start(s, head), idx = off * s->recip >> 32;

	return idx * s->stride == off && idx < slab_objects(s, head->order) ? (int)idx : -1;
}

/* ---------------------------------------------------------- making, freeing */

/* Constructed objects are marked at once; of the others who puts them somewhere
 * does it in passing. */
static void construct_all(struct kmem_cache *s, struct page *head, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		void *obj = slab_object(s, head, i);

		s->ctor(obj);
		object_give(s, obj, s->offset);
	}
}

/* Where another object could begin behind the last: that is marked for ever, so that a
 * free of it takes the long way and is refused there. */
static void mark_rest(const struct kmem_cache *s, const struct page *head, unsigned int n)
{
	char *end = (char *)pfn_addr(page_pfn(head)) + (PAGE_SIZE << head->order);

	if (!slab_shifted(s, head->order))
		return;
	for (char *p = slab_object(s, head, n); p < end; p += s->stride)
		mark_set(p, s->offset, free_mark);
}

static void set_pages(struct kmem_cache *s, struct page *head, unsigned int order)
{
	u16 *cache = frame_cache(page_pfn(head));
	u64 off = CPU_OFF(s->id) + (order != s->order ? s->small_closer : 0);

	for (unsigned int i = 0; i < 1u << order; i++) {
		head[i].tail = (u8)i;
		head[i].order = (u8)order;
		WRITE_ONCE(cache[i], (u16)off);
		WRITE_ONCE(head[i].type, PT_SLAB);
	}
}

static void clear_pages(struct page *head, unsigned int order)
{
	u16 *cache = frame_cache(page_pfn(head));

	for (unsigned int i = 0; i < 1u << order; i++) {
		WRITE_ONCE(cache[i], 0);
		WRITE_ONCE(head[i].type, PT_NONE);
		head[i].tail = 0;
	}
}

/* light: without reclaim, as the caller has another way. A call that has had to look for
 * pages as well makes half of the objects, where there is a smaller order: that bounds
 * the time of the worst, and it is one call in sixteen. */
static struct page *slab_pages(struct kmem_cache *s, gfp_t gfp, int nid, bool light)
{
	unsigned int least = s->order == 1 ? s->min_order : s->order;
	struct page *head = NULL;

	gfp &= ~(__GFP_ZERO | __GFP_RECLAIM);
	if (s->order != s->min_order && !mm_tight)
		head = page_alloc_light(gfp, nid, s->order, least, PT_SLAB);
	if (head)
		return head;
	return light ? page_alloc_light(gfp, nid, s->min_order, s->min_order, PT_SLAB) :
			 page_alloc(gfp, nid, s->min_order, 0, PT_SLAB);
}

struct page *slab_new(struct kmem_cache *s, gfp_t gfp, int nid, bool light, unsigned int *n)
{
	struct page *head = slab_pages(s, gfp, nid, light);
	unsigned int order;

	if (!head)
		return NULL;
	order = head->order;
	*n = slab_objects(s, order);
	if (s->ctor)
		construct_all(s, head, *n);
	mark_rest(s, head, *n);
	sanitize_free(pfn_addr(page_pfn(head)), PAGE_SIZE << order); /* and what is between the objects */
	if (slab_debugged(s))
		slab_debug_new(s, head, *n);
	if (CONFIG_KASAN)
		kasan_slab_made(s, slab_object(s, head, 0), *n);
	if (unlikely(s->flags & SLAB_ACCOUNT))
		memcg_slab_begin(s, head, *n);
	__atomic_store_n(&head->state, make_state(load(&head->state), ST_NONE, 0, s->id, 0), __ATOMIC_RELEASE);
	set_pages(s, head, order);
	this_cpu_add64(cache_cpu[s->id].slabs, 1);
	return head;
}

/* The commit is the swap of the state: the count is gone, nobody can take an
 * object any more. */
bool slab_release_if_empty(struct kmem_cache *s, struct page *head)
{
	unsigned int order = head->order;
	u64 st = load(&head->state);

	do {
		if (ST_CACHE(st) != s->id || ST_FREE(st) != slab_objects(s, order))
			return false;
		if (unlikely(s->flags & SLAB_TYPESAFE_BY_RCU) && !typesafe_may_go(s, head))
			return false;
	} while (!cas_state(head, &st, make_state(st, ST_NONE, 0, 0, 0)));
	clear_pages(head, order);
	this_cpu_add64(cache_cpu[s->id].slabs, -1);
	page_free_block(head, order, PT_SLAB);
	return true;
}

/* ------------------------------------------------------------- taking objects */

void object_lost(const struct kmem_cache *s, const void *obj)
{
	mm_report("slab", obj, "free object of %s was written to, or freed twice; nobody gets it any more", s->name);
}

static void report_chain(struct kmem_cache *s, const struct page *head, const void *obj)
{
	mm_report("slab", obj, "free object of %s was written to; the free ones of its slab at %lx are isolated",
		  s->name, (u64)pfn_addr(page_pfn(head)));
}

/* The index behind that of obj in its chain; -1: the chain has been written to. */
static int link_next(const struct kmem_cache *s, const struct page *head, const void *obj)
{
	u32 next = link_get(s, obj);

	if (mark_get(obj, s->offset) != free_mark)
		return -1;
	return next == ST_NONE || next < slab_objects(s, READ_ONCE(head->order)) ? (int)next : -1;
}

/* The first n objects of the chain that st heads, to objs; returns the index behind
 * them, or -1 with *bad if the chain is broken. What was freed together lies together,
 * mostly, so that is fetched while the first one is on its way. */
#define FETCH_FROM 5
static int chain_prefix(struct kmem_cache *s, struct page *head, u64 st, void **objs, unsigned int n, void **bad)
{
	char *start = slab_start(s, head);
	int idx = (int)ST_HEAD(st);

	if (n >= FETCH_FROM)
		arch_fetch_run(start + (u64)(u32)idx * s->stride, s->stride, n);
	for (unsigned int i = 0; i < n; i++) {
		objs[i] = start + (u64)(u32)idx * s->stride;
		idx = link_next(s, head, objs[i]);
		if (idx < 0 || ((u32)idx == ST_NONE && i + 1 < ST_FREE(st))) {
			*bad = objs[i];
			return -1;
		}
	}
	return idx;
}

unsigned int slab_get_some(struct kmem_cache *s, struct page *head, void **objs, unsigned int max)
{
	u64 st = load(&head->state);

	for (;;) {
		unsigned int n = ST_FREE(st) < max ? ST_FREE(st) : max;
		void *bad = NULL;
		u64 new;
		int idx;

		if (ST_CACHE(st) != s->id || !n)
			return 0;
		idx = chain_prefix(s, head, st, objs, n, &bad);
		/* Torn view or a broken chain? Only an unchanged state tells. */
		new = idx < 0 ? make_state(st, ST_NONE, 0, s->id, st & ST_ONLIST) :
				make_state(st, (u64)idx, ST_FREE(st) - n, s->id, st & ST_ONLIST);
		if (!cas_state(head, &st, new))
			continue;
		if (!s->limit && ST_FREE(st) == slab_objects(s, head->order))
			partial_uncount_empty(s, page_to_nid(head));
		if (idx >= 0)
			return n;
		report_chain(s, head, bad);
		return 0;
	}
}

void *slab_get_one(struct kmem_cache *s, struct page *head)
{
	void *obj;

	return slab_get_some(s, head, &obj, 1) ? obj : NULL;
}

bool slab_unlist_if_exhausted(struct kmem_cache *s, struct page *head)
{
	u64 st = load(&head->state);

	while (!ST_FREE(st))
		if (cas_state(head, &st, make_state(st, ST_NONE, 0, s->id, 0)))
			return true;
	return false;
}

/* ------------------------------------------------------------- giving objects */

/* Chain objs[0..n-1], all of this slab; returns the first one's index. ST_NONE: there is
 * one behind the last object of the slab, where somebody has written over the mark. */
static u32 chain(struct kmem_cache *s, struct page *head, void *const *objs, unsigned int n)
{
	u32 objects = slab_objects(s, head->order), idx = ST_NONE;
	u64 start = (u64)slab_start(s, head);

	for (unsigned int i = n; i--;) {
		if (i + 1 < n)
			link_set(s, objs[i], idx);
		idx = (u32)(((u64)objs[i] - start) * s->recip >> 32);
		if (unlikely(idx >= objects))
			return ST_NONE;
	}
	return idx;
}

/* One of these is none: the others by themselves. */
static void put_singly(struct kmem_cache *s, void *const *objs, unsigned int n)
{
	if (n == 1)
		mm_report("free", objs[0], "not the start of an object of %s, but of the rest of its slab", s->name);
	for (unsigned int i = 0; n > 1 && i < n; i++)
		slab_put(s, &objs[i], 1);
}

/* After the state word changed from st: the slab goes on a stack if it was on none. */
static void list_after_put(struct kmem_cache *s, struct page *head, u64 st, unsigned int nfree,
			   unsigned int objects)
{
	int nid = page_to_nid(head);

	if (!(st & ST_ONLIST))
		partial_push(s, head);
	if (nfree == objects)
		partial_count_empty(s, nid);
}

void slab_put(struct kmem_cache *s, void *const *objs, unsigned int n)
{
	struct page *head = obj_slab(objs[0]);
	unsigned int objects = slab_objects(s, head->order), slot = hand_open(head);
	u32 first = chain(s, head, objs, n);
	u64 st = load(&head->state);

	if (unlikely(first == ST_NONE)) {
		hand_close(slot);
		put_singly(s, objs, n);
		return;
	}
	do {
		if (ST_CACHE(st) != s->id || ST_FREE(st) + n > objects) {
			hand_close(slot);
			mm_report("free", objs[0], "double free: all objects of its slab (%s) are free", s->name);
			return;
		}
		if (unlikely(s->flags & SLAB_TYPESAFE_BY_RCU) && ST_FREE(st) + n == objects)
			typesafe_emptied(head);
		link_set(s, objs[n - 1], ST_FREE(st) ? ST_HEAD(st) : (u32)ST_NONE);
	} while (!cas_state(head, &st, make_state(st, first, ST_FREE(st) + n, s->id, ST_ONLIST)));
	list_after_put(s, head, st, ST_FREE(st) + n, objects);
	hand_close(slot);
}

/* A chain of nr objects of this new slab, which has n: some may have come back already,
 * by a nested call. */
static void publish_chain(struct kmem_cache *s, struct page *head, u32 first, u32 last, unsigned int nr,
			  unsigned int n)
{
	unsigned int slot = hand_open(head);
	u64 st = load(&head->state);

	do {
		if (unlikely(s->flags & SLAB_TYPESAFE_BY_RCU))
			typesafe_emptied(head);
		link_set(s, slab_object(s, head, last), ST_FREE(st) ? ST_HEAD(st) : (u32)ST_NONE);
	} while (!cas_state(head, &st, make_state(st, first, ST_FREE(st) + nr, s->id, ST_ONLIST)));
	list_after_put(s, head, st, ST_FREE(st) + nr, n);
	hand_close(slot);
}

void slab_publish(struct kmem_cache *s, struct page *head, unsigned int from, unsigned int n)
{
	char *obj = slab_object(s, head, from);

	for (unsigned int i = from; i < n; i++, obj += s->stride) {
		link_set(s, obj, i + 1);
		if (!s->ctor)
			mark_set(obj, s->offset, free_mark);
	}
	publish_chain(s, head, from, n - 1, n - from, n);
}

/* Sattolo's shuffle of the links makes of them one ring of all objects, each ring as likely
 * as any other; the ring is cut at a place by chance. It needs no memory but theirs. */
void *slab_publish_shuffled(struct kmem_cache *s, struct page *head, unsigned int n)
{
	struct rng r;
	u32 last, mine;

	harden_rng(&r, s->secret);
	for (u32 i = 0; i < n; i++) {
		void *obj = slab_object(s, head, i), *other = slab_object(s, head, i ? (u32)rng_below(&r, i) : 0);
		u32 next = i ? link_get(s, other) : 0;

		link_set(s, obj, next);
		link_set(s, other, i);
		if (!s->ctor)
			mark_set(obj, s->offset, free_mark);
	}
	last = (u32)rng_below(&r, n);
	mine = link_get(s, slab_object(s, head, last));
	if (n > 1)
		publish_chain(s, head, link_get(s, slab_object(s, head, mine)), last, n - 1, n);
	return slab_object(s, head, mine);
}
