/*
 * internal.h - the inside of mm/, for mm/ and the tests: page descriptors, the
 * free map, the slab words, and what the files of mm/ call of one another.
 *
 * docs/design.md states the invariant of every structure here. In short: the
 * free map's words are the only truth about pages, a slab's state word the only
 * truth about its free objects, and every change of either is one compare-and-
 * swap. Nothing waits: a call that is interrupted anywhere leaves structures
 * that any other call can use.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include <anyctx/gfp.h>
#include <anyctx/percpu.h>
#include <anyctx/slab.h>
#include <arch/local.h>
#include <arch/machine.h>

/* ------------------------------------------------------------------ pages */

/* What a page descriptor stands for: page->info bits 0-3. */
enum page_type {
	PT_NONE = 0, /* free, unmanaged, or the tail of a block */
	PT_BLOCK,    /* head of a block from alloc_pages */
	PT_LARGE,    /* head of a block from kmalloc */
	PT_SLAB,     /* any page of a slab */
};

/*
 * Invariant: info is non-zero exactly for the head of a live block and for
 * every page of a live slab. Written only by the call that owns the block: after
 * its bits left the free map, and before they return.
 */
struct page {
	u64 state;    /* head of a slab: the state word; else 0 */
	u32 next;     /* slab: frame number of the next on a partial stack */
	u32 refcount; /* block: references; 0 is frozen */
	u32 info;     /* type 4 | order 4 | cache id 10 | pages from the slab's head 6 */
	u32 home;     /* slab: the CPU in whose magazine its objects may lie */
};

#define INFO_TYPE(i) ((enum page_type)((i) & 15))
#define INFO_ORDER(i) ((i) >> 4 & 15)
#define INFO_CACHE(i) ((i) >> 8 & 0x3ff)
#define INFO_TAIL(i) ((i) >> 18 & 63)

static inline u32 make_info(enum page_type t, unsigned int order, u32 cache, u32 tail)
{
	return t | order << 4 | cache << 8 | tail << 18;
}

/* The map of all frames from 0: one past the highest, and its lines of 2 MiB. */
extern u64 max_pfn, nr_lines;
extern u64 managed_pages;

#define LINE_SHIFT 9 /* pages in a line, as a power of two */
#define LINE_PAGES (1UL << LINE_SHIFT)
#define WORD_SHIFT 5
#define WORD_PAGES (1UL << WORD_SHIFT)
#define LINE_WORDS (LINE_PAGES / WORD_PAGES)

static __always_inline struct page *pfn_page(u64 pfn)
{
	return (struct page *)VMEMMAP_BASE + pfn;
}

static __always_inline u64 page_pfn(const struct page *page)
{
	return (u64)(page - (const struct page *)VMEMMAP_BASE);
}

static __always_inline void *pfn_addr(u64 pfn)
{
	return (void *)(DIRECT_MAP_BASE + (pfn << PAGE_SHIFT));
}

/* The frame of a direct map address; at least max_pfn for any other address. */
static __always_inline u64 addr_pfn(const void *addr)
{
	return ((u64)addr - DIRECT_MAP_BASE) >> PAGE_SHIFT;
}

void memmap_init(void);
/* The node of a line of memory; -1 if it has none. */
extern s8 *line_node;

/* --------------------------------------------------------------- free map */

/*
 * One word for 32 pages: bits 0-31 are 1 for a free page; bits 32-63 are the
 * hold tag, 0 or {CPU + 1, sequence} of a multi-word allocation under way.
 */
#define WORD_FULL 0xffffffffUL
extern u64 *free_words;

/*
 * Take a free, aligned run of 2^order pages (order <= 5) out of word w; returns
 * its first bit or -1. force: undo other calls' undecided holds instead of
 * passing by.
 */
int word_take(u64 w, unsigned int order, bool force);
/* Take all free pages of the word: the map taken, 0 if none. */
u32 word_take_all(u64 w, bool force);
/* Give pages back; false, and nothing done, if one of them was free already. */
bool word_give(u64 w, u32 mask);
/* Take n whole words from w, n a power of two and at least 2. */
bool words_take(u64 w, u64 n, bool force);
/* The free map of a word as it stands now, holds resolved. */
u32 word_peek(u64 w);

/* Lines that may have a free page, and lines that may have a wholly free word:
 * hints, a set bit without cause is cleared by the search, a missing one costs
 * nothing but the last look, which reads the words themselves. */
extern u64 *hint_any, *hint_full;
void hint_set(u64 *map, u64 line);
void hint_clear(u64 *map, u64 line);

/* ------------------------------------------------------------- page layer */

void page_alloc_init(void);
struct page *page_alloc(gfp_t gfp, int nid, unsigned int order, u32 refcount,
			enum page_type type);
/* For the layers above, which have checked what they free. */
void page_free_block(u64 pfn, unsigned int order);
/* Is there a free block of this order in the map right now? Walks it all. */
bool page_find_free(unsigned int order);
/* Give back this CPU's private pages. Any context. */
void page_flush_cpu(void);
u64 pages_allocated(void);
/* Checked free of a block; call is the public name for the report. */
void page_free_checked(const char *call, struct page *page, unsigned int order);

struct page_cpu {
	u64 private;    /* word number << 32 | map of pages held privately */
	u64 allocated;  /* pages taken minus pages given back, on this CPU */
	u64 arena_first, arena_end; /* lines searched first */
};
DECLARE_PER_CPU(struct page_cpu, page_cpu);

/* ------------------------------------------------------------------ slabs */

#define MAX_CACHES 128
#define MAX_SLAB_ORDER 5
#define MAX_SLAB_OBJECTS 1000

struct kmem_cache {
	char name[28];
	u32 id;
	u32 live;       /* 0: free slot */
	u32 size;       /* what the user asked for */
	u32 stride;     /* distance of objects in the slab */
	u32 offset;     /* of the free link in the object */
	u32 recip;      /* ceil(2^32 / stride) */
	u32 align, flags;
	u32 limit;      /* objects one CPU's magazine may hold */
	u8 order, min_order; /* usual and smallest order of a slab */
	void (*ctor)(void *);
};
extern struct kmem_cache caches[MAX_CACHES];

/*
 * A granule is 8 bytes of the direct map: 33 bits name any object below 64 GiB.
 *
 * Link, in a free object at cache->offset: next granule << 31 | cookie. The
 * cookie depends on the object's own address and a secret of this boot, so a
 * link tells on pop that nobody wrote over it, and on free that the object may
 * be free already.
 *
 * Magazine word, per CPU and cache: granule << 31 | count 10 | tid 21. Written
 * by its CPU only, with one unlocked cmpxchg.
 *
 * State word, in the head page of a slab: head index 10 | free count 10 | cache
 * id 10 | on-list 1 | sequence 33. Written by anyone, with one locked cmpxchg.
 */
#define LINK_BITS 31
#define LINK_MASK ((1UL << LINK_BITS) - 1)
#define MAG_ONE (1UL << 21)
#define MAG_TID_MASK (MAG_ONE - 1)
#define MAG_COUNT(w) ((u32)((w) >> 21 & 0x3ff))

extern u64 link_secret;

static __always_inline u64 obj_granule(const void *obj)
{
	return ((u64)obj - DIRECT_MAP_BASE) >> 3;
}

static __always_inline void *granule_obj(u64 granule)
{
	return (void *)(DIRECT_MAP_BASE + (granule << 3));
}

static __always_inline u64 link_cookie(const void *obj)
{
	return (obj_granule(obj) ^ link_secret) & LINK_MASK;
}

static __always_inline u64 *link_of(const struct kmem_cache *s, const void *obj)
{
	return (u64 *)((char *)obj + s->offset);
}

#define ST_NONE 1023UL /* head index: no free object */
#define ST_HEAD(st) ((u32)((st) & 1023))
#define ST_FREE(st) ((u32)((st) >> 10 & 1023))
#define ST_CACHE(st) ((u32)((st) >> 20 & 1023))
#define ST_ONLIST (1UL << 30)
#define ST_SEQ_ONE (1UL << 31)

static inline u64 make_state(u64 old, u64 head, u64 nfree, u64 cache, u64 onlist)
{
	return ((old & ~(ST_SEQ_ONE - 1)) + ST_SEQ_ONE) | head | nfree << 10 |
	       cache << 20 | onlist;
}

/* What one CPU keeps of one cache. */
struct cache_cpu {
	u64 mag;        /* the magazine word */
	u32 limit;      /* cache->limit, or 0 while memory is tight */
	u32 empties;    /* slabs of this CPU that became empty since the last trim; a hint */
	u64 partial[2]; /* stacks of slabs: tag << 32 | frame number, 0 is empty */
	u64 slabs;      /* slabs made minus slabs freed, on this CPU */
	u64 pad;
};
DECLARE_PER_CPU(struct cache_cpu, cache_cpu[MAX_CACHES]);

/* slab.c: one slab and the stacks of slabs */
unsigned int slab_objects(const struct kmem_cache *s, unsigned int order);
void *slab_object(const struct kmem_cache *s, const struct page *head, unsigned int idx);
struct page *slab_new(struct kmem_cache *s, gfp_t gfp, int nid, u64 *chain, unsigned int *n);
bool slab_put(struct kmem_cache *s, struct page *head, void *obj);
void *slab_get_one(struct kmem_cache *s, struct page *head);
u64 slab_get_all(struct kmem_cache *s, struct page *head, unsigned int *n);
bool slab_release_if_empty(struct kmem_cache *s, struct page *head);
void partial_push(struct kmem_cache *s, unsigned int cpu, struct page *head);
struct page *partial_pop(struct kmem_cache *s, unsigned int cpu);
void *partial_get_one(struct kmem_cache *s, unsigned int cpu, int nid);
u64 partial_trim(struct kmem_cache *s, unsigned int cpu);
/* Slabs in the hands of calls under way, so that a last look finds them too. */
unsigned int hand_take(const struct page *head);
void hand_drop(unsigned int slot);
void *hands_get_one(struct kmem_cache *s, int nid);
static inline struct page *slab_head(struct page *page)
{
	return page - INFO_TAIL(page->info);
}

/* alloc.c: the paths from call to object */
void *cache_alloc(struct kmem_cache *s, gfp_t gfp, int nid);
/* obj is known to be an object of s, in the slab that page belongs to. */
void cache_free(const char *call, struct kmem_cache *s, struct page *page,
		void *obj, bool nolock);
/* Any pointer that lies in the managed memory, or a report. */
void free_any(const char *call, const void *p, bool nolock);
void magazine_flush(struct kmem_cache *s);
/* Is obj free: in its slab, a magazine or a deferred list? Walks them. */
bool object_is_free(struct kmem_cache *s, struct page *head, const void *obj);

/* cache.c */
void cache_init(void);
struct kmem_cache *cache_by_id(u32 id);
void cache_limits_set(bool tight);

/* kmalloc.c */
void kmalloc_init(void);

/* ---------------------------------------------------------------- deferral */

struct defer_cpu {
	u64 head;    /* granule << 31 | tag: stack of deferred objects */
	u64 queued;  /* by this CPU, since boot */
	u64 served;  /* by this CPU, since boot */
	u64 serving; /* depth of servers under way on this CPU */
};
DECLARE_PER_CPU(struct defer_cpu, defer_cpu);
#define DEFER_MAX 512 /* waiting at most, a CPU */

void defer_init(void);
/* false: the list is at its bound, the caller must free directly. */
bool defer_free(struct kmem_cache *s, void *obj);
/* Free what waits on cpu's list, max objects at most; how many. Any context. */
u64 defer_serve(unsigned int cpu, u64 max);
/* Ask for this CPU's deferred work and trimming to be done soon. */
void defer_kick(unsigned int cpu);

/* ----------------------------------------------------------------- reclaim */

extern bool mm_tight; /* free memory is low: nobody caches */
extern u64 tight_low, tight_high;
void reclaim_init(void);
/* Look at the free count; enter or leave tight mode. Any context. */
void tight_check(void);
/* All that this context can do to find memory; true if pages became free. */
bool reclaim(void);
/* The same on all CPUs, waiting for them. Thread context, interrupts on. */
bool reclaim_wait(gfp_t gfp);
void flush_cpu(void);
u64 trim_all(void);

/* ----------------------------------------------------------------- reports */

/* "bad free: kfree(ptr) on CPU n in context: what"; counts it; policy. */
void mm_report(const char *call, const void *p, const char *fmt, ...) __printf(3, 4);

struct mm_fail_counts {
	u64 failures, spurious;
};
DECLARE_PER_CPU(struct mm_fail_counts, mm_fail_counts);

#endif
