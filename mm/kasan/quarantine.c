/*
 * quarantine.c - freed objects wait here, so that who still uses one is told, and does
 * not find another's object in its place.
 *
 * Each CPU has a ring of slots. Invariant: an object in quarantine is in exactly one
 * slot, or in the hands of one call. A put takes the number of the oldest slot by one
 * `xadd` of the CPU's, and commits by one `xchg` of the slot, which gives it the object
 * that was there before: that one is freed for good. A drain takes objects out by `xchg`
 * as well, out of any CPU's ring. So nothing here waits, an interrupted call holds one
 * object at most, and at the end of memory every call reaches all that is in quarantine.
 *
 * Bounded: SLOTS a CPU, and a share of its memory (`bytes`, counted by locked adds). A
 * put goes on to empty the oldest slots while there is more. While memory is tight
 * nothing is put here.
 *
 * Any context, but for what says otherwise.
 */
#include <anyctx/smp.h>
#include "mm/internal.h"
#include "mm/kasan/kasan.h"

#define SLOTS 256UL
#define SHARE 64 /* a CPU's share of memory over this */
#define MAX_BYTES (1UL << 20)

struct ring {
	u64 next; /* the slot that comes next, modulo SLOTS: the oldest one */
	u64 bytes;
	void *slot[SLOTS];
};
static DEFINE_PER_CPU(struct ring, ring);
static u64 max_bytes;
static bool off;

void kasan_quarantine_init(void)
{
	max_bytes = (managed_pages << PAGE_SHIFT) / (SHARE * arch_nr_cpus_found());
	if (max_bytes > MAX_BYTES)
		max_bytes = MAX_BYTES;
}

static struct kmem_cache *cache_of(const void *obj)
{
	return cache_at(*frame_cache(addr_pfn(obj)));
}

/* Exchange the slot's object for obj; the one that leaves is freed. */
static bool replace(struct ring *r, u64 i, void *obj)
{
	void *old = __atomic_exchange_n(&r->slot[i % SLOTS], obj, __ATOMIC_ACQ_REL);
	struct kmem_cache *s;

	if (!old)
		return false;
	s = cache_of(old);
	__atomic_sub_fetch(&r->bytes, s->stride, __ATOMIC_RELAXED);
	object_release(s, old);
	return true;
}

static bool unwanted(void)
{
	return mm_tight || READ_ONCE(off);
}

static u64 next_slot(struct ring *r)
{
	return __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED);
}

bool kasan_quarantine_put(void *obj)
{
	struct ring *r;

	if (unwanted())
		return false;
	mm_begin(); /* an object may be in hands */
	r = this_cpu_ptr(ring);
	__atomic_add_fetch(&r->bytes, cache_of(obj)->stride, __ATOMIC_RELAXED);
	replace(r, next_slot(r), obj);
	for (u64 i = 0; i < SLOTS && __atomic_load_n(&r->bytes, __ATOMIC_RELAXED) > max_bytes; i++)
		replace(r, next_slot(r), NULL);
	if (unlikely(unwanted())) /* set meanwhile: nobody keeps objects now */
		kasan_quarantine_drain();
	mm_end();
	return true;
}

u64 kasan_quarantine_drain(void)
{
	u64 n = 0;

	mm_begin();
	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++) {
		struct ring *r = per_cpu_ptr(ring, c);

		u64 newest = READ_ONCE(r->next) - 1; /* mostly the others are empty */

		for (u64 i = 0; i < SLOTS && __atomic_load_n(&r->bytes, __ATOMIC_RELAXED); i++)
			if (READ_ONCE(r->slot[(newest - i) % SLOTS]))
				n += replace(r, newest - i, NULL);
	}
	mm_end();
	return n;
}

void kasan_quarantine_set(bool on)
{
	__atomic_store_n(&off, !on, __ATOMIC_SEQ_CST);
	if (!on)
		kasan_quarantine_drain();
}

u64 kasan_quarantine_count(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++)
		for (u64 i = 0; i < SLOTS; i++) {
			const void *obj = READ_ONCE(per_cpu_ptr(ring, c)->slot[i]);

			n += obj && (!s || cache_of(obj) == s);
		}
	return n;
}

u64 kasan_quarantine_bytes(void)
{
	return max_bytes;
}
