/*
 * cache.c - kmem_cache: creating and destroying caches, and the calls by cache.
 *
 * Caches are slots of a fixed table, so creating one allocates nothing and has
 * no half-way state to undo. The table changes under cache_lock; a cache's
 * fields are constant while it lives.
 *
 * A cache's magazines come from kmalloc, kmalloc's own from the per-CPU areas.
 *
 * create: thread; destroy, shrink: thread, interrupts on. The others: any context.
 */
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/cache.h"
#include "mm/fast.h"
#include "mm/mm.h"
#include "mm/slab_debug.h"
#include "mm/typesafe.h"
#include <anyctx/cpu.h>
#include <anyctx/rcupdate.h>
#include <anyctx/smp.h>
#include <anyctx/spinlock.h>

struct kmem_cache caches[MAX_CACHES];
static spinlock_t cache_lock = SPINLOCK_INIT;

#define DESTROY_TRIES 100
/* In a slab of the usual order: so many that one allocation in a hundred has to make
 * one, if it does not get too large for that; so many if even then. */
#define WANT_OBJECTS 128
#define LEAST_OBJECTS 32
#define LEAST_SHIFTED 16
#define SMALL_MEMORY (128UL << 20)
#define SMALL_MAX_ORDER 3
#define MAG_MAX_BYTES (4UL << 20)   /* what a magazine may hold at most ... */
#define MAG_MIN_BYTES (16UL << 10)  /* ... and on a small machine with many CPUs */
#define MAG_SHARE 128               /* a CPU's share of memory over this, a cache */
#define CACHE_LINE 64

static u32 round_up(u32 n, u32 to)
{
	return (n + to - 1) & ~(to - 1);
}

static u32 pick_align(size_t size, size_t align, unsigned int flags)
{
	u32 a = align > 8 ? (u32)align : 8;
	u32 line = CACHE_LINE;

	if (flags & SLAB_HWCACHE_ALIGN) {
		while (size <= line / 2)
			line /= 2;
		if (line > a)
			a = line;
	}
	if (!(size & (size - 1)) && size > a) /* powers of two: to themselves */
		a = size < PAGE_SIZE ? (u32)size : (u32)PAGE_SIZE;
	return a;
}

/* The most that a slab has before the first multiple of stride. */
static u32 most_before(const struct kmem_cache *s, u32 order)
{
	u64 step = s->stride & -s->stride, size = PAGE_SIZE << order;

	if (!s->start_mul || (s->small_closer && order == s->min_order))
		return 0;
	return s->stride - (u32)(step < size ? step : size);
}

/* In any slab of the order, wherever it is. */
static u32 objects_in(const struct kmem_cache *s, u32 order)
{
	u64 size = PAGE_SIZE << order, before = most_before(s, order);
	u32 n = before < size ? (u32)((size - before) / s->stride) : 0;

	if (n > MAX_SLAB_OBJECTS)
		n = MAX_SLAB_OBJECTS;
	while (s->flags & SLAB_ACCOUNT && n * s->stride + round_up(n, 8) > size)
		n--; /* who pays for them lies behind them */
	return n;
}

static u32 pick_order(const struct kmem_cache *s)
{
	u32 order = s->min_order, most = managed_pages << PAGE_SHIFT < SMALL_MEMORY ? SMALL_MAX_ORDER : MAX_SLAB_ORDER;

	while (objects_in(s, order) < WANT_OBJECTS && order < SMALL_MAX_ORDER)
		order++;
	while (objects_in(s, order) < LEAST_OBJECTS && order < most)
		order++;
	return order;
}

static u32 pick_limit(const struct kmem_cache *s)
{
	u64 bytes = (managed_pages << PAGE_SHIFT) / (MAG_SHARE * arch_nr_cpus_found()), n;

	if (CONFIG_TINY)
		return 0;
	if (bytes > MAG_MAX_BYTES)
		bytes = MAG_MAX_BYTES;
	if (bytes < MAG_MIN_BYTES)
		bytes = MAG_MIN_BYTES;
	n = bytes / s->stride;
	return n > MAG_SLOTS - 1 ? MAG_SLOTS - 1 : n < 2 ? 2 : (u32)n;
}

/* Do objects lie at multiples of their stride, so that a free can tell one at once? In a small
 * slab there may be no room for a large one behind what is before; and where there is for
 * few in any (a small machine), one less is too much to pay for it. */
static void lay_out_starts(struct kmem_cache *s)
{
	if (s->offset || s->flags & SLAB_ACCOUNT || CONFIG_KASAN || CONFIG_TINY)
		return; /* there each free looks closer */
	s->start_mul = slab_start_mul(s->stride);
	if (!objects_in(s, s->min_order))
		s->small_closer = FRAME_CLOSER;
	if (s->small_closer && objects_in(s, pick_order(s)) < LEAST_SHIFTED)
		s->start_mul = s->small_closer = 0;
	s->shifted = s->start_mul && s->stride & (s->stride - 1);
}

/* Sizes, orders and limits from size, align and constructor. */
static void lay_out(struct kmem_cache *s, size_t size, size_t align, unsigned int flags,
		    void (*ctor)(void *))
{
	s->size = (u32)size;
	s->align = pick_align(size, align, flags);
	s->flags = flags;
	if (flags & SLAB_TYPESAFE_BY_RCU && !ctor)
		ctor = typesafe_keep;
	s->ctor = ctor;
	/* A constructed object keeps its state while free: its mark lies behind it. */
	s->offset = ctor ? round_up(s->size, 8) : 0;
	s->stride = round_up(ctor ? s->offset + 8 : (s->size < 8 ? 8 : s->size), s->align);
	slab_debug_lay_out(s);
	if (CONFIG_KASAN)
		s->stride = round_up(s->stride + (u32)sizeof(struct kasan_tracks), s->align);
	s->recip = (u32)(((1UL << 32) + s->stride - 1) / s->stride);
	while ((PAGE_SIZE << s->min_order) < s->stride || (flags & SLAB_ACCOUNT && !objects_in(s, s->min_order)))
		s->min_order++;
	lay_out_starts(s);
	s->order = pick_order(s);
	s->objects = objects_in(s, s->order);
	s->min_objects = objects_in(s, s->min_order);
	s->limit = flags & SLAB_ACCOUNT || slab_debugged(s) ? 0 : pick_limit(s);
}

/* The magazine of each CPU, if it has any; mags NULL: they are kmalloc's, of its own. */
static void set_magazines(struct kmem_cache *s, struct magazine *mags)
{
	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++)
		magazine_setup(s, c, mags ? &mags[c] : s->limit ? kmalloc_magazine(s->id, c) : NULL);
	s->magazines = mags;
}

bool cache_setup(struct kmem_cache *s, u32 id, const char *name, size_t size, size_t align,
		 unsigned int flags, void (*ctor)(void *))
{
	struct magazine *mags = NULL;

	memset(s, 0, __builtin_offsetof(struct kmem_cache, partial));
	s->id = id;
	memcpy(s->name, name, strlen(name) + 1);
	s->secret = CONFIG_HARDENED ? (u32)arch_boot_random() : 0;
	lay_out(s, size, align, slab_debug_flags(name, flags), ctor);
	if (id > NR_KMALLOC && s->limit) {
		mags = kzalloc(arch_nr_cpus_found() * sizeof(struct magazine), GFP_NOWAIT);
		if (!mags)
			return false;
	}
	set_magazines(s, mags);
	__atomic_store_n(&s->live, 1, __ATOMIC_RELEASE);
	return true;
}

static const char *bad_cache(const char *name, size_t size, size_t align, unsigned int flags)
{
	if (!name || !*name)
		return "no name";
	if (strlen(name) >= sizeof(caches[0].name))
		return "name too long (27 characters)";
	if (!size || size > KMALLOC_MAX_CACHE_SIZE)
		return "object size out of range (1 to 8192)";
	if (align & (align - 1) || align > PAGE_SIZE)
		return "alignment is not a power of two up to 4096";
	if (flags & ~SLAB_VALID_MASK)
		return "unknown flags";
	return NULL;
}

/* Under cache_lock: a free slot, or why there is none. */
static struct kmem_cache *free_slot(const char *name, const char **why)
{
	struct kmem_cache *slot = NULL;

	for (u32 i = 1; i < MAX_CACHES; i++) {
		if (!caches[i].live) {
			if (!slot)
				slot = &caches[i];
		} else if (!strcmp(caches[i].name, name)) {
			*why = "a cache of this name exists";
			return NULL;
		}
	}
	if (!slot)
		*why = "too many caches";
	return slot;
}

/* The one failure that is no bad call. */
static const char no_memory[] = "no memory for its magazines";

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align,
				     unsigned int flags, void (*ctor)(void *))
{
	const char *why = bad_cache(name, size, align, flags);
	struct kmem_cache *s = NULL;
	u64 irq;

	check_in_thread("kmem_cache_create");
	irq = spin_lock_irqsave(&cache_lock);
	if (!why)
		s = free_slot(name, &why);
	if (s && !cache_setup(s, (u32)(s - caches), name, size, align, flags, ctor)) {
		why = no_memory;
		s = NULL;
	}
	spin_unlock_irqrestore(&cache_lock, irq);
	if (!s && flags & SLAB_PANIC)
		panic("kmem_cache_create(%s): %s", name ? name : "(null)", why);
	if (!s && why != no_memory)
		mm_report("kmem_cache_create", NULL, "%s: %s", name ? name : "(null)", why);
	return s;
}

static u64 slabs_of(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		n += READ_ONCE(per_cpu_ptr(cache_cpu[s->id], c)->slabs);
	return n;
}

static void flush_one_cache(void *s)
{
	magazine_flush(s, ~0UL);
}

/* Frees that were put off are made, and no trim has slabs in its hands, which we would not
 * find; then slabs of a typesafe cache that have become empty so may go, and the trims that
 * waited for that are through as well. */
static void settle(const struct kmem_cache *s)
{
	defer_settle();
	if (!(s->flags & SLAB_TYPESAFE_BY_RCU))
		return;
	synchronize_rcu();
	rcu_barrier();
	defer_settle();
}

static u64 shrink(struct kmem_cache *s)
{
	u64 pages = 0;

	if (CONFIG_KASAN)
		kasan_quarantine_drain();
	cpus_read_lock();
	on_each_cpu(flush_one_cache, s, true);
	cpus_read_unlock();
	settle(s);
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		pages += partial_trim(s, nid);
	return pages;
}

u64 kmem_cache_shrink(struct kmem_cache *s)
{
	check_may_wait("kmem_cache_shrink");
	return bad_cache_pointer("kmem_cache_shrink", s) ? 0 : shrink(s);
}

static void remove_magazine(void *s)
{
	magazine_close(s);
	magazine_setup(s, smp_processor_id(), NULL);
}

/* Of a cache without objects. */
static void cache_end(struct kmem_cache *s)
{
	u64 irq;

	cpus_read_lock();
	on_each_cpu(remove_magazine, s, true);
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		if (!cpu_online(c))
			magazine_setup(s, c, NULL); /* it sleeps, and its magazine is empty */
	cpus_read_unlock();
	kfree(s->magazines);
	irq = spin_lock_irqsave(&cache_lock);
	__atomic_store_n(&s->live, 0, __ATOMIC_RELEASE);
	spin_unlock_irqrestore(&cache_lock, irq);
}

int kmem_cache_destroy(struct kmem_cache *s)
{
	u64 left, tries = DESTROY_TRIES;

	check_may_wait("kmem_cache_destroy");
	if (!s)
		return 0;
	if (bad_cache_pointer("kmem_cache_destroy", s))
		return -EINVAL;
	if (s->id <= NR_KMALLOC + NR_KMALLOC_PAID) {
		mm_report("kmem_cache_destroy", s, "%s is kmalloc's", s->name);
		return -EINVAL;
	}
	rcu_barrier(); /* objects that wait for a grace period */
	do { /* a trim of another CPU may have one in its hands */
		shrink(s);
		left = slabs_of(s);
	} while (left && --tries);
	if (!left) {
		cache_end(s);
		return 0;
	}
	mm_report("kmem_cache_destroy", s, "cache %s still has objects in use, in %lu slabs", s->name, left);
	cache_report_in_use(s);
	return -EBUSY;
}

static __noinline void bad_node(const char *call, int node)
{
	mm_report(call, NULL, "node %d is out of range (0 to %u)", node, num_nodes() - 1);
}

/* With flags that not every cache may be asked with. */
static __noinline void *alloc_flags(const char *call, struct kmem_cache *s, gfp_t gfp, int node)
{
	void *obj = NULL;

	if (gfp & ~GFP_VALID_MASK)
		mm_report(call, NULL, "unknown gfp flags 0x%x", gfp & ~GFP_VALID_MASK);
	else if (!(s->flags & SLAB_ACCOUNT))
		mm_report(call, s, "__GFP_ACCOUNT, and cache %s has no SLAB_ACCOUNT", s->name);
	else if (node < NUMA_NO_NODE || node >= (int)num_nodes())
		bad_node(call, node);
	else
		obj = cache_alloc_slow(s, gfp, node);
	if (obj && gfp & __GFP_ZERO && !s->ctor)
		memset(obj, 0, s->size);
	return obj;
}

static __always_inline void *alloc_from(const char *call, struct kmem_cache *s, gfp_t gfp, int node)
{
	void *obj = NULL;

	if (unlikely(bad_cache_pointer(call, s)))
		return NULL;
	if (unlikely(gfp & ~(GFP_VALID_MASK & ~__GFP_ACCOUNT)))
		return alloc_flags(call, s, gfp, node);
	if (unlikely(node != NUMA_NO_NODE && (node < 0 || node >= (int)num_nodes()))) {
		bad_node(call, node);
		return NULL;
	}
	if (likely(node == NUMA_NO_NODE))
		obj = fast_alloc(CPU_OFF(s->id), s->offset);
	if (unlikely(!obj))
		obj = cache_alloc_slow(s, gfp, node);
	if (unlikely(gfp & __GFP_ZERO) && obj && !s->ctor)
		memset(obj, 0, s->size);
	return obj;
}

void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp)
{
	return alloc_from("kmem_cache_alloc", s, gfp, NUMA_NO_NODE);
}

void *kmem_cache_alloc_nolock(struct kmem_cache *s, gfp_t gfp, int node)
{
	return alloc_from("kmem_cache_alloc_nolock", s, gfp & ~__GFP_RECLAIM, node);
}

__noinline void cache_free_wrong(const char *call, struct kmem_cache *s, void *obj)
{
	u64 pfn = addr_pfn(obj);

	if (pfn < max_pfn && READ_ONCE(pfn_page(pfn)->type) == PT_SLAB)
		mm_report(call, obj, "given to cache %s, but it is of %s", s->name,
			  cache_at(*frame_cache(pfn))->name);
	else
		mm_report(call, obj, "given to cache %s, but it is no object of a slab", s->name);
}

/* Of a slab whose objects are to be looked at closer, or of none of the cache's. */
static __noinline void free_closer(const char *call, struct kmem_cache *s, void *obj)
{
	u64 pfn = addr_pfn(obj);

	if (pfn < max_pfn && page_cpu_off(pfn_page(pfn)) == CPU_OFF(s->id))
		free_uncommon(obj, call);
	else
		cache_free_wrong(call, s, obj);
}

/* As kfree, and the object must be of this cache. */
static __always_inline void free_to(const char *call, struct kmem_cache *s, void *obj)
{
	u64 pfn = addr_pfn(obj);

	if (unlikely(bad_cache_pointer(call, s) || !obj))
		return;
	if (unlikely(pfn >= max_pfn || READ_ONCE(*frame_cache(pfn)) != CPU_OFF(s->id)))
		free_closer(call, s, obj);
	else if (!fast_free(obj))
		free_uncommon(obj, call);
}

void kmem_cache_free(struct kmem_cache *s, void *obj)
{
	free_to("kmem_cache_free", s, obj);
}

void kmem_cache_free_nolock(struct kmem_cache *s, void *obj)
{
	free_to("kmem_cache_free_nolock", s, obj);
}

u64 mm_kept_by(const struct kmem_cache *s)
{
	return s->limit;
}

unsigned int kmem_cache_size(const struct kmem_cache *s)
{
	return s->size;
}
