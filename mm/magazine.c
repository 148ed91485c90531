/*
 * magazine.c - a CPU's stack of free objects of one cache.
 *
 * Invariant: the slots from floor to top hold distinct free objects of the
 * cache, marked as free; the slot below floor holds the bottom; and only this CPU
 * reads or changes any of it, by the restartable sequences of arch/local.h. So a
 * call that interrupts another finds the magazine whole at every instruction, and
 * the interrupted one finds out.
 *
 * A push or pop that was interrupted RETRIES times in a row gives up and reports
 * "full" or "empty": its caller has another way, so nobody who keeps interrupting
 * can keep a call from ending.
 *
 * All functions: any context, this CPU's magazine, except where said.
 */
#include "mm/internal.h"
#include <anyctx/smp.h>

#define RETRIES 4

__section("percpu") struct cache_cpu cache_cpu[MAX_CACHES] __aligned(64);

/* As long as an object may be with its mark behind it, and never marked. */
u64 magazine_bottom[KMALLOC_MAX_CACHE_SIZE / sizeof(u64) + 2];

/* What a cache without magazines has: closed for ever. */
static struct magazine closed = { .slot = { [MAG_SLOTS - 1] = magazine_bottom } };

static u64 off_of(const struct kmem_cache *s)
{
	return CPU_OFF(s->id);
}

static struct cache_cpu *mine(const struct kmem_cache *s)
{
	return this_cpu_ptr(cache_cpu[s->id]);
}

/* ------------------------------------------------------------- one object */

void *magazine_pop(const struct kmem_cache *s)
{
	void *obj;

	for (int i = 0; i < RETRIES; i++) {
		enum local_result r = local_pop(&cache_cpu[0].top, off_of(s), magazine_bottom, &obj);

		if (r == LOCAL_REFUSED)
			return NULL;
		if (r == LOCAL_RESTART)
			continue;
		if (object_sound(s, obj))
			return obj;
		object_lost(s, obj);
		i = 0; /* there are not many of those */
	}
	return NULL;
}

bool magazine_push(const struct kmem_cache *s, void *obj)
{
	for (int i = 0; i < RETRIES; i++) {
		enum local_result r = local_push(&cache_cpu[0].top, off_of(s), obj);

		if (r != LOCAL_RESTART)
			return r == LOCAL_DONE;
	}
	return false;
}

/* ------------------------------------------------------------ many objects */

u64 magazine_pop_many(const struct kmem_cache *s, void **out, u64 n)
{
	u64 done = 0;

	for (int i = 0; i < RETRIES; i++)
		if (local_pop_many(&cache_cpu[0].top, off_of(s), magazine_bottom, out, n, &done) != LOCAL_RESTART)
			return done;
	out[0] = magazine_pop(s);
	return out[0] != NULL;
}

u64 magazine_push_many(const struct kmem_cache *s, void *const *in, u64 n)
{
	u64 done = 0;

	for (int i = 0; i < RETRIES; i++)
		if (local_push_many(&cache_cpu[0].top, off_of(s), in, n, &done) != LOCAL_RESTART)
			return done;
	return magazine_push(s, in[0]);
}

/* Objects first, first + stride, ... of a new slab, n > 0, marked here: how many went. */
u64 magazine_push_new(const struct kmem_cache *s, void *first, u64 n)
{
	u64 done = 0;

	for (int i = 0; i < RETRIES; i++)
		switch (local_push_run(&cache_cpu[0].top, off_of(s), first, s->stride, n, free_mark, &done)) {
		case LOCAL_DONE:
			return done;
		case LOCAL_REFUSED:
			return 0;
		case LOCAL_RESTART:
			break;
		}
	return 0;
}

/* Those of the batch that are of the first one's slab go back together; the rest
 * stays, moved to the front. Returns how many are left. */
static unsigned int put_one_slab(struct kmem_cache *s, void **batch, unsigned int n)
{
	const struct page *head = obj_slab(batch[0]);
	u64 start = (u64)pfn_addr(page_pfn(head)), size = PAGE_SIZE << head->order;
	unsigned int same = 0, rest = 0;
	void *objs[MAG_BATCH];

	for (unsigned int i = 0; i < n; i++) {
		if ((u64)batch[i] - start >= size)
			batch[rest++] = batch[i];
		else if (object_sound(s, batch[i]))
			objs[same++] = batch[i];
		else
			object_lost(s, batch[i]);
	}
	if (same)
		slab_put(s, objs, same);
	return rest;
}

void slabs_put(struct kmem_cache *s, void **objs, unsigned int n)
{
	while (n)
		n = put_one_slab(s, objs, n);
}

/* While memory is tight one at a time, so that never more is in this call's hands. No more
 * than there were at first, as whoever interrupts may fill it again and again. */
u64 magazine_flush(struct kmem_cache *s, u64 max)
{
	u64 most = magazine_count(s, smp_processor_id()), done = 0;

	if (max > most)
		max = most;
	while (done < max) {
		u64 want = mm_tight ? 1 : max - done < MAG_BATCH ? max - done : MAG_BATCH;
		void *batch[MAG_BATCH];
		unsigned int n;

		mm_begin();
		moving_begin(s->id);
		n = (unsigned int)magazine_pop_many(s, batch, want);
		slabs_put(s, batch, n);
		moving_end(s->id);
		mm_end();
		if (!n)
			break;
		done += n;
		mm_point();
	}
	return done;
}

u64 magazine_room(const struct kmem_cache *s)
{
	const struct cache_cpu *c = mine(s);

	return (u64)(c->end - READ_ONCE(c->top));
}

u64 magazine_close(struct kmem_cache *s)
{
	struct cache_cpu *c = mine(s);
	u64 n = 0;

	for (int i = 0; i < RETRIES; i++) {
		n += magazine_flush(s, ~0UL);
		if (c->floor == c->end)
			break; /* has no magazine */
		if (local_move(&cache_cpu[0].top, off_of(s), magazine_bottom, c->floor, c->end, c->end, true) == LOCAL_DONE)
			break;
		if (READ_ONCE(c->top) == c->end && READ_ONCE(c->end[-1]) == magazine_bottom)
			break; /* closed before */
	}
	return n;
}

void magazine_open(struct kmem_cache *s)
{
	struct cache_cpu *c = mine(s);

	if (c->floor != c->end)
		local_move(&cache_cpu[0].top, off_of(s), magazine_bottom, c->end, c->floor, c->end, false);
}

/* -------------------------------------------------------- looking from outside */

u64 magazine_count(const struct kmem_cache *s, unsigned int cpu)
{
	struct cache_cpu *c = per_cpu_ptr(cache_cpu[s->id], cpu);
	void **top = READ_ONCE(c->top);

	if (top == c->end && READ_ONCE(c->end[-1]) == magazine_bottom)
		return 0;
	return (u64)(top - c->floor);
}

/* Only a pointer that magazine_setup put there is followed. */
u64 magazine_count_checked(const struct kmem_cache *s, unsigned int cpu)
{
	u64 id = (u64)(s - caches); /* what it says of itself may be wrong */
	struct cache_cpu *c = per_cpu_ptr(cache_cpu[id], cpu);
	u64 own = id <= NR_KMALLOC ? (u64)kmalloc_magazine((u32)id, cpu) : (u64)s->magazines + cpu * MAG_BYTES;
	void **top = READ_ONCE(c->top), **floor = READ_ONCE(c->floor), **end = READ_ONCE(c->end);

	if (top == closed.slot + MAG_SLOTS && floor == top && end == top)
		return 0;
	if ((u64)end != own + MAG_BYTES || (u64)floor <= own || floor > top || top > end || ((u64)floor | (u64)top) & 7)
		return MAGAZINE_DAMAGED;
	if (top == end && READ_ONCE(end[-1]) == magazine_bottom)
		return 0;
	return (u64)(top - floor);
}

bool magazine_holds(const struct kmem_cache *s, unsigned int cpu, const void *obj)
{
	struct cache_cpu *c = per_cpu_ptr(cache_cpu[s->id], cpu);
	u64 n = magazine_count(s, cpu);

	for (u64 i = 0; i < n; i++)
		if (READ_ONCE(c->floor[i]) == obj)
			return true;
	return false;
}

/* ------------------------------------------- setting up, before or after all use */

/* m NULL: no magazine, every call takes the long way. */
void magazine_setup(struct kmem_cache *s, unsigned int cpu, struct magazine *m)
{
	struct cache_cpu *c = per_cpu_ptr(cache_cpu[s->id], cpu);

	void **end = (m ? m : &closed)->slot + MAG_SLOTS, **floor = m ? end - s->limit : end;

	if (m)
		floor[-1] = magazine_bottom;
	/* In this order: a nested magazine_open must not find the old floor and new top. */
	WRITE_ONCE(c->end, end);
	WRITE_ONCE(c->floor, floor);
	c->start_mul = s->start_mul;
	WRITE_ONCE(c->top, floor);
}

void magazine_setup_none(unsigned int cpu)
{
	struct cache_cpu *c = per_cpu_ptr(cache_cpu[0], cpu);

	c->top = c->floor = c->end = closed.slot + MAG_SLOTS;
	c->start_mul = 0;
}
