/*
 * alloc.c - the long ways: an object when the magazine is empty, and back when it
 * is full or the pointer is not plainly right. The short ways are in kmalloc.c
 * and cache.c.
 *
 * While memory is tight magazines stay closed: an allocation takes one object
 * out of a slab, a free puts one back, and nothing lies where others cannot
 * reach it.
 *
 * All functions: any context.
 */
#include "kernel/context.h"
#include "lib/string.h"
#include "mm/fail.h"
#include "mm/memcg.h"
#include "mm/search.h"
#include "mm/slab_debug.h"
#include <anyctx/smp.h>

#define LOOKS 3 /* for an object that is free */
#define FLUSH_MOST (2 * MAG_BATCH) /* by one free: it bounds its time */

/* ------------------------------------------------------------ allocation */

/* The mode may have changed since the caller looked: what it kept goes back. */
static void look_again(struct kmem_cache *s)
{
	if (unlikely(mm_tight))
		magazine_close(s);
}

/* Into the magazine: true. What a nested call has left no room for, or keeps
 * interrupting, into the slab: then it is no use to try on. */
static bool keep_objects(struct kmem_cache *s, void *const *objs, unsigned int n)
{
	while (n) {
		unsigned int went = (unsigned int)magazine_push_many(s, objs, n);

		if (!went) {
			slab_put(s, objs, n);
			return false;
		}
		objs += went;
		n -= went;
	}
	return true;
}

/*
 * The next slab of the node that has free objects: one for the caller, and as many
 * as the magazine has room for. They come out of the slab in batches, so that the
 * rest stays where everyone finds it.
 */
static void *refill_from_slab(struct kmem_cache *s, struct page *head)
{
	void *batch[MAG_BATCH], *obj;
	unsigned int n = slab_get_some(s, head, batch, MAG_BATCH);
	bool kept = true;

	obj = n ? batch[0] : NULL;
	if (n)
		kept = keep_objects(s, batch + 1, n - 1);
	while (kept && n == MAG_BATCH && magazine_room(s) >= MAG_BATCH) {
		n = slab_get_some(s, head, batch, MAG_BATCH);
		kept = keep_objects(s, batch, n);
	}
	return obj;
}

static void *refill_partial(struct kmem_cache *s, int nid)
{
	void *obj = NULL;
	bool more = partial_any(s, nid);

	while (!obj && more) {
		unsigned int slot = hand_open(NULL);
		struct page *head = partial_pop(s, nid, slot);

		more = head != NULL;
		if (head) {
			obj = refill_from_slab(s, head);
			partial_relist(s, head);
		}
		hand_close(slot);
		mm_point();
	}
	return obj;
}

/* Objects from i on of a new slab into the magazine; the first that is not. */
static unsigned int keep_new(struct kmem_cache *s, char *first, unsigned int i, unsigned int n)
{
	while (i < n) {
		void *obj = first + (u64)i * s->stride;
		u64 went = s->ctor ? magazine_push(s, obj) : magazine_push_new(s, obj, n - i);

		if (!went)
			break;
		i += (unsigned int)went;
	}
	return i;
}

/* Of the n objects of a new slab: so many that there is room for what is freed next. */
static unsigned int most_kept(const struct kmem_cache *s, unsigned int n)
{
	unsigned int most = s->limit > 2 * MAG_BATCH ? s->limit - MAG_BATCH : s->limit;

	return n < most ? n : most;
}

/* A new slab; keep: what the magazine has room for goes there. light: no reclaim. */
static void *refill_new(struct kmem_cache *s, gfp_t gfp, int nid, bool keep, bool light)
{
	unsigned int n, kept = 1;
	struct page *head = slab_new(s, gfp, nid, light, &n);
	void *first;

	if (!head)
		return NULL;
	if (CONFIG_HARDENED)
		return slab_publish_shuffled(s, head, n);
	first = slab_object(s, head, 0);
	if (keep && !mm_tight)
		kept = keep_new(s, first, 1, most_kept(s, n));
	if (kept < n)
		slab_publish(s, head, kept, n);
	return first;
}

static void *alloc_keeping(struct kmem_cache *s, gfp_t gfp)
{
	void *obj;

	magazine_open(s);
	obj = refill_partial(s, page_home_node());
	if (likely(!obj))
		obj = refill_new(s, gfp & ~__GFP_THISNODE, NUMA_NO_NODE, true, true);
	look_again(s);
	return obj;
}

static void *alloc_anywhere(struct kmem_cache *s, gfp_t gfp)
{
	void *obj = magazine_pop(s);

	if (!obj && !mm_tight && s->limit)
		obj = alloc_keeping(s, gfp);
	if (!obj)
		obj = partial_get_one(s, -1);
	if (!obj)
		obj = refill_new(s, gfp & ~__GFP_THISNODE, NUMA_NO_NODE, false, false);
	return obj;
}

/* From that node; or, unless it is an order, from the next by distance, and so on; and
 * when a slab of the usual size is nowhere, from anywhere. */
static void *alloc_on_node(struct kmem_cache *s, gfp_t gfp, int nid)
{
	bool strict = gfp & __GFP_THISNODE;
	void *obj = NULL;

	for (unsigned int i = 0; !obj && i < (strict ? 1 : num_nodes()); i++) {
		int near = i ? nearest_node(nid, i) : nid;

		obj = partial_get_one(s, near);
		if (!obj)
			obj = refill_new(s, gfp | __GFP_THISNODE, near, false, !strict);
	}
	if (!obj && !strict)
		obj = alloc_anywhere(s, gfp);
	return obj;
}

static void *alloc_try(struct kmem_cache *s, gfp_t gfp, int nid)
{
	void *obj;

	moving_begin(s->id);
	do {
		obj = nid == NUMA_NO_NODE ? alloc_anywhere(s, gfp) : alloc_on_node(s, gfp, nid);
	} while (obj && slab_debugged(s) && !slab_debug_alloc(s, obj));
	if (obj)
		object_take(s, obj, s->offset);
	moving_end(s->id);
	return obj;
}

static __noinline void *alloc_last(struct kmem_cache *s, gfp_t gfp, int nid)
{
	void *obj = NULL;
	bool got = true;

	press_begin();
	for (unsigned int i = 0; !obj && got && i < ALLOC_TRIES; i++) {
		got = reclaim();
		mm_point();
		obj = alloc_try(s, gfp, nid);
	}
	if (!obj && reclaim_wait(gfp))
		obj = alloc_try(s, gfp, nid);
	press_end();
	if (!obj)
		count_failure();
	return obj;
}

static __always_inline void *alloc_slow(struct kmem_cache *s, gfp_t gfp, int nid)
{
	void *obj = alloc_try(s, gfp, nid);

	if (!obj)
		obj = alloc_last(s, gfp, nid);
	return obj;
}

/* The long ways keep the CPU: what is in a call's hands is in one call's a CPU. */
void *cache_alloc_unpaid(struct kmem_cache *s, gfp_t gfp, int nid)
{
	void *obj;

	if (fail_slab(s))
		return NULL;
	reclaim_announce(gfp);
	mm_begin();
	lock_section(s->name);
	obj = alloc_slow(s, gfp, nid);
	lock_done(s->name);
	mm_end();
	return obj;
}

void *cache_alloc_slow(struct kmem_cache *s, gfp_t gfp, int nid)
{
	if (unlikely(s->flags & SLAB_ACCOUNT))
		return memcg_object_alloc(s, gfp, nid);
	return cache_alloc_unpaid(s, gfp, nid);
}

/* ---------------------------------------------------------------- freeing */

static bool free_keeping(struct kmem_cache *s, void *obj)
{
	bool kept;

	magazine_open(s);
	magazine_flush(s, s->limit / 2 < FLUSH_MOST ? s->limit / 2 : FLUSH_MOST);
	kept = magazine_push(s, obj);
	look_again(s);
	return kept;
}

static __always_inline void free_slow(struct kmem_cache *s, void *obj)
{
	enum context ctx = current_context();

	if (!mm_tight && s->limit) {
		if ((ctx == CTX_NMI || ctx == CTX_DEBUG) && defer_free(obj))
			return;
		if (free_keeping(s, obj))
			return;
	}
	slab_put(s, &obj, 1);
}

void cache_free_slow(struct kmem_cache *s, void *obj)
{
	mm_begin();
	lock_section(s->name);
	moving_begin(s->id);
	free_slow(s, obj);
	moving_end(s->id);
	lock_done(s->name);
	mm_end();
}

void object_release(struct kmem_cache *s, void *obj)
{
	object_give(s, obj, s->offset);
	if (!magazine_push(s, obj))
		cache_free_slow(s, obj);
}

static bool in_slab_chain(struct kmem_cache *s, struct page *head, const void *obj)
{
	u64 st = load(&head->state);
	u32 idx = ST_HEAD(st);

	for (u32 n = ST_FREE(st); n && idx < slab_objects(s, head->order); n--) {
		if (slab_object(s, head, idx) == obj)
			return true;
		idx = link_get(s, slab_object(s, head, idx));
	}
	return false;
}

bool object_is_free(struct kmem_cache *s, const void *obj)
{
	if (in_slab_chain(s, obj_slab(obj), obj))
		return true;
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		if (magazine_holds(s, c, obj) || defer_holds(c, obj))
			return true;
	return false;
}

/* How many moves of the cache's objects have been begun; MOVING: one is under way. What has
 * ended is read first: if it is as much as has been begun since, there was none then. */
#define MOVING (~0UL)
static u64 moves_begun(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int c = 0; c < 2 * num_possible_cpus(); c++) {
		const struct cache_cpu *of = per_cpu_ptr(cache_cpu[c & 1 ? s->id : MOVING_ANY], c / 2);
		u64 ended = load(&of->ended), begun = load(&of->begun);

		if (begun != ended)
			return MOVING;
		n += begun;
	}
	return n;
}

/* Is it in use, with a mark that its user wrote? Only a look tells during which nothing was
 * moved, so that it was not in a call's hands, nor went from where we had not looked yet to
 * where we had; and only if nobody has had it since. */
static bool looks_used(struct kmem_cache *s, const void *obj)
{
	u64 before = moves_begun(s);

	return before != MOVING && !object_is_free(s, obj) && moves_begun(s) == before &&
	       mark_get(obj, s->offset) == free_mark;
}

/* If no look can tell it is as good as sure: one object in 2^32 has the mark and is in use. */
bool freed_twice(const char *call, struct kmem_cache *s, const void *obj)
{
	for (int i = 0; i < LOOKS; i++)
		if (looks_used(s, obj))
			return false;
	mm_report(call, obj, "an object of %s that is free already (double free)", s->name);
	return true;
}

static bool in_use(const char *call, struct kmem_cache *s, void *p)
{
	if (slab_debugged(s) && !slab_debug_free(call, s, p))
		return false;
	if (CONFIG_KASAN)
		return kasan_free_object(call, s, p);
	return slab_debugged(s) || mark_get(p, s->offset) != free_mark || !freed_twice(call, s, p);
}

/* An object of a slab, but not one of the plain sort, or perhaps free. */
static void free_object(const char *call, struct page *page, void *p)
{
	struct kmem_cache *s = cache_at(page_cpu_off(page));
	struct page *head = slab_head(page);
	int idx = slab_index(s, head, p);

	if (idx < 0) {
		mm_report(call, p, "not the start of an object of %s", s->name);
		return;
	}
	/* Also if it is found corrupt, or its slab is, and nobody gets it any more: its user is
	 * done with it. For an object that is free nobody pays. */
	if (unlikely(s->flags & SLAB_ACCOUNT))
		memcg_object_freed(s, head, (unsigned int)idx);
	if (!in_use(call, s, p))
		return;
	if (!CONFIG_KASAN || slab_debugged(s) || !kasan_quarantine_put(p))
		object_release(s, p);
}

/* The head of the block that the page lies in the middle of, or NULL. */
static struct page *block_around(u64 pfn)
{
	for (unsigned int k = 1; k <= MAX_ORDER; k++) {
		struct page *head = pfn_page(pfn & ~((1UL << k) - 1));
		u8 type = READ_ONCE(head->type);

		if (is_any_block(type) && head->order >= k)
			return head;
	}
	return NULL;
}

static void free_block(const char *call, struct page *page, const void *p)
{
	struct page *head = READ_ONCE(page->type) == PT_NONE ? block_around(page_pfn(page)) : page;

	if (!head)
		mm_report(call, p, "not an allocated object (freed before, or never allocated)");
	else if (head != page || (u64)p & ~PAGE_MASK)
		mm_report(call, p, "a pointer into the middle of the block at %lx, order %u",
			  (u64)page_address(head), head->order);
	else
		page_free_checked(call, page, page->order);
}

void free_uncommon(const void *p, const char *call)
{
	u64 pfn = addr_pfn(p);
	struct page *page = pfn_page(pfn);

	if (ZERO_OR_NULL_PTR(p))
		return;
	if (pfn >= max_pfn)
		mm_report(call, p, "not an address of managed memory");
	else if (READ_ONCE(page->type) == PT_SLAB)
		free_object(call, page, (void *)p);
	else
		free_block(call, page, p);
}
