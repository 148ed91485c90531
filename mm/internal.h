/*
 * internal.h - the inside of mm/, for mm/ and the tests: page descriptors, the
 * free map, the slab words, and what the files of mm/ call of one another.
 *
 * docs/design.md states the invariant of every structure here. In short: the
 * free map is the only truth about pages, a slab's state word the only truth
 * about the free objects in it, a magazine belongs to one CPU alone; and every
 * change of one of them is committed by a single instruction. Nothing waits: a
 * call that is interrupted anywhere leaves structures that any other call can use.
 */
#ifndef MM_INTERNAL_H
#define MM_INTERNAL_H

#include <anyctx/config.h>
#include <anyctx/gfp.h>
#include <anyctx/lockdep.h>
#include <anyctx/percpu.h>
#include <anyctx/preempt.h>
#include <anyctx/slab.h>
#include <arch/local.h>
#include <arch/machine.h>
#include <arch/sanitize.h>
#include "mm/kasan/kasan.h"
#include "mm/harden.h"

/*
 * Around a long way: the CPU is kept, so what is in a call's hands is in one call's a
 * CPU. Under CONFIG_RT others may run at each mm_point: where nothing is in hands, no
 * hand slot is open, no attempt or change of hints under way.
 */
static __always_inline void mm_begin(void)
{
	if (CONFIG_RT)
		long_work_begin();
	else
		preempt_disable();
}

static __always_inline void mm_end(void)
{
	if (CONFIG_RT)
		long_work_end();
	else
		preempt_enable();
}

static __always_inline void mm_point(void)
{
	if (CONFIG_RT)
		long_work_point();
}

/* ------------------------------------------------------------------ pages */

/* Shared words change by compare-and-swap only; a full barrier each. */
static inline bool cas(u64 *p, u64 old, u64 new)
{
	return __atomic_compare_exchange_n(p, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static inline u64 load(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

/* What a page descriptor stands for. */
enum page_type {
	PT_NONE = 0, /* free, unmanaged, or the tail of a block */
	PT_BLOCK,    /* head of a block from alloc_pages */
	PT_LARGE,    /* head of a block from kmalloc */
	PT_SLAB,     /* any page of a slab */
	PT_BLOCK_PAID, PT_LARGE_PAID, /* such heads, that a group of memcg.h pays for */
	NR_PAGE_TYPES,
};

static __always_inline bool is_paid(u8 type)
{
	return type == PT_BLOCK_PAID || type == PT_LARGE_PAID;
}

static __always_inline enum page_type paid_type(enum page_type type)
{
	return type == PT_BLOCK ? PT_BLOCK_PAID : PT_LARGE_PAID;
}

/* The head of a block from alloc_pages, or from kmalloc as well? */
static __always_inline bool is_block(u8 type)
{
	return type == PT_BLOCK || type == PT_BLOCK_PAID;
}

static __always_inline bool is_any_block(u8 type)
{
	return is_block(type) || type == PT_LARGE || type == PT_LARGE_PAID;
}

/*
 * Invariant: type is not PT_NONE exactly for the head of a live block and for
 * every page of a live slab. All but state and next are written only by the call
 * that owns the block: after its bits left the free map, before they return; isolated
 * by whoever has an object of the slab, which keeps it from being released.
 */
struct page {
	u64 state;    /* head of a slab: the state word; its sequence survives the slab */
	u32 next;     /* slab: frame number of the next on a stack of slabs */
	u8 tail;      /* slab: pages from its head */
	u8 owner;     /* block that is paid for: by which group (memcg.h) */
	u8 isolated;  /* slab: found corrupt, nobody gets an object of it any more; else 0 */
	u8 unused;
	union {
		struct {
			u16 unused2;
			u8 type;      /* enum page_type */
			u8 order;     /* of the block or slab */
			u32 refcount; /* block: references; 0 is frozen. Slab: typesafe.c's */
		};
		u64 kind; /* the same in one word; block_kind() for a block */
	};
};

static __always_inline u64 block_kind(enum page_type type, unsigned int order, u32 refcount)
{
	return (u64)type << 16 | (u64)order << 24 | (u64)refcount << 32;
}

/* The descriptors, in frame order; linker.ld places them, memmap.c maps them. */
extern struct page vmemmap[];
/* The map of all frames from 0: one past the highest, and its lines of 2 MiB. */
extern u64 max_pfn, nr_lines;
extern u64 managed_pages;

#define LINE_SHIFT 9 /* pages in a line, as a power of two */
#define LINE_PAGES (1UL << LINE_SHIFT)
#define WORD_SHIFT 5
#define WORD_PAGES (1UL << WORD_SHIFT)
#define LINE_WORDS (LINE_PAGES / WORD_PAGES)

/* Of any number: what is no frame's is not to be looked at, but may be asked for. */
static __always_inline struct page *pfn_page(u64 pfn)
{
	return (struct page *)((u64)vmemmap + pfn * sizeof(struct page));
}

static __always_inline u64 page_pfn(const struct page *page)
{
	return (u64)(page - vmemmap);
}

/*
 * Of each frame, in 2 bytes: where its slab's cache has its struct cache_cpu in
 * cache_cpu[]; 0 in any page that is of no slab. They lie apart from the descriptors, and
 * where they do (arch/layout.h), so that kfree gets from a pointer to them by a shift.
 * With FRAME_CLOSER the slab's objects are not at multiples of the cache's stride: what is
 * read so far behind start_mul says of each pointer that it is to be looked at closer.
 */
#define FRAME_CLOSER 32UL
static __always_inline u16 *frame_cache(u64 pfn)
{
	return (u16 *)FRAME_CACHE_BASE + pfn;
}

static __always_inline u64 page_cpu_off(const struct page *page)
{
	return READ_ONCE(*frame_cache(page_pfn(page))) & ~FRAME_CLOSER;
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
 * One word for 32 pages: bits 0-31 are 1 for a free page; bits 32-63 are a tag:
 * 0, {CPU + 1, sequence} of a multi-word allocation under way, or {TAG_WHOLE,
 * sequence} in a word of a line that is, or was, handed out as a whole.
 *
 * One word for each line: sequence << 2 | enum line_state. A line that is not
 * split is free or taken as one block of order 9, by one compare-and-swap on this
 * word; the words below it then hold no free pages but the tag of its sequence.
 * docs/design.md, "The free map".
 */
#define TAG_WHOLE 127UL
#define TAG_SEQ_BITS 25
#define TAG_SEQ_MASK ((1UL << TAG_SEQ_BITS) - 1)
#define TAG_OWNER(word) ((word) >> 32 >> TAG_SEQ_BITS)
#define TAG_SEQ(word) ((word) >> 32 & TAG_SEQ_MASK)

static inline u64 word_tag(u64 owner, u64 seq)
{
	return (owner << TAG_SEQ_BITS | (seq & TAG_SEQ_MASK)) << 32;
}

/* A run of 2^order ones, order <= 5. */
static inline u32 run_mask(unsigned int order)
{
	return (u32)((1UL << (1u << order)) - 1);
}

enum line_state { LINE_SPLIT, LINE_FREE, LINE_TAKEN };
#define WORD_FULL 0xffffffffUL
extern u64 *free_words, *line_words;

/*
 * Take a free, aligned run of 2^order pages (order <= 5) out of word w; returns
 * its first bit or -1. force: undo other calls' undecided holds instead of
 * passing by.
 */
int word_take(u64 w, unsigned int order, bool force);
/* Do n words from first look wholly free? */
bool words_look_full(u64 first, u64 n);
/* Take all free pages of the word if it has a run of 2^order: the map, else 0. */
u32 word_take_all(u64 w, unsigned int order);
/* Give pages back; false, and nothing done, if one of them was free already. */
bool word_give(u64 w, u32 mask);
/* The same with n whole words, each by itself. */
bool words_give(u64 w, u64 n);
/* Take n whole words from w, n a power of two and at least 2. */
bool words_take(u64 w, u64 n, bool force);
/* Is that CPU in the middle of one, or was it left so? */
bool words_open_on(unsigned int cpu);
/* The free map of a word as it stands now, holds resolved. 0 in a line that is
 * not split. */
u32 word_peek(u64 w);
/* The first aligned run of 2^order ones (order <= 5) in map, or -1. */
static inline int find_run(u32 map, unsigned int order)
{
	static const u32 aligned[] = { 0x55555555, 0x11111111, 0x01010101, 0x00010001, 0x00000001 };

	if (map == (u32)WORD_FULL)
		return 0;
	for (unsigned int k = 0; k < order; k++)
		map &= map >> (1u << k) & aligned[k];
	return map ? __builtin_ctz(map) : -1;
}

/* The whole line as one block of order 9. */
bool line_take(u64 line, bool force);
/* Give it back: false if it was not taken as a whole. */
bool line_give(u64 line);
/* A free line falls apart into free words; false: it is not a free line (now). */
bool line_split(u64 line);
enum line_state line_peek(u64 line);
/* Is word w, which has the value v with a whole line's tag, free: its line split? */
bool line_word_free(u64 w, u64 v);
/* At boot, while nobody else is there: the line is wholly free. */
void line_init_free(u64 line);

/*
 * Hints: lines that may have a free page, that may have a wholly free word, that
 * may be wholly free. A set bit without cause is cleared by the search. A missing
 * one costs only the last look: it trusts the hints unless hint_busy() says that
 * some call is between a change of the map and of its hint.
 */
enum hint { HINT_ANY, HINT_WORD, HINT_LINE, NR_HINTS };
extern u64 *hints[NR_HINTS];
void hint_set(enum hint h, u64 line);
bool hint_test(enum hint h, u64 line);
/* Nothing was found there: clear the hint, unless there is something after all. */
void hint_recheck(enum hint h, u64 line);
/* All of the line has just been taken: its hints go, but for what was given back since.
 * Else a search would come across each such line once, and look at all of it. */
void hints_clear(u64 line);
/* The next line from `line` below end whose hint is set; end if there is none. */
u64 hint_next(enum hint h, u64 line, u64 end);
/* Around each change of the map that a hint must follow. */
void hint_begin(void);
/* Is this CPU between the two? Any context. Is that one? */
bool hint_open_here(void);
bool hint_open_on(unsigned int cpu);
void hint_end(void);
bool hint_busy(void);
/* The same before and after a look by hints, and not HINT_BUSY: all hints were right
 * all the time. */
#define HINT_BUSY (~0UL)
u64 hint_version(void);

/* ------------------------------------------------------------- page layer */

void page_alloc_init(void);
/* A block, its descriptor filled in; refcount is the head's. Never zeroed. If NULL
 * comes while a free block is seen, that is counted as spurious. */
struct page *page_alloc(gfp_t gfp, int nid, unsigned int order, u32 refcount,
			enum page_type type);
/* The same, frozen, without reclaim or a last look: the caller has another way. If private
 * pages have to be looked for, that takes its time: then, or if it saves the look, one of
 * order `least` only. */
struct page *page_alloc_light(gfp_t gfp, int nid, unsigned int order, unsigned int least,
			      enum page_type type);
/* For the layers above, which have checked what they free: the block's type. */
void page_free_block(struct page *page, unsigned int order, enum page_type type);
/* Is there a free block of this order (on node nid, or -1) now? Looks at all. */
bool page_find_free(unsigned int order, int nid);
/* The last step of freeing a block of order 9. */
void line_page_give(u64 pfn, enum page_type type);
/* After a free while memory is tight. */
void page_freed_tight(void);
/* The node whose memory this CPU takes first. */
int page_home_node(void);
/* How many pages that CPU has for itself. */
u64 page_private(unsigned int cpu);
/* Give back this CPU's private pages; how many. Any context. */
u64 page_flush_cpu(void);
/* An allocation ends with NULL. */
void count_failure(void);
/* Checked free of a block; call is the public name for the report. */
void page_free_checked(const char *call, struct page *page, unsigned int order);

/* Pages that one CPU holds for itself, all in one word: word number << 32 | map.
 * Written by this CPU only. One for single pages, one for larger blocks. */
#define NR_PRIVATE 2
/* Where to look for private pages next: the word where the last were found, and the line
 * up to which those before it were looked at. */
struct refill_at {
	u64 word, below;
};
struct page_cpu {
	u64 private[NR_PRIVATE];
	u64 allocated[NR_PAGE_TYPES]; /* pages taken minus pages given back, on this CPU */
	u64 cursor;     /* the line where the last search of a large block ended */
	struct refill_at near[NR_PRIVATE], far[NR_PRIVATE]; /* in the arena, and beyond it */
	u64 line_given; /* the line that was last given back whole */
	u64 arena_first, arena_end; /* lines searched first */
	u64 home_node;              /* theirs */
};
DECLARE_PER_CPU(struct page_cpu, page_cpu);

/* -------------------------------------------------------------- magazines */

/*
 * What one CPU keeps of one cache: a stack of pointers to free objects. Only this
 * CPU touches it, each time by a restartable sequence (arch/local.h) whose last
 * instruction moves top.
 *
 * The slots lie at the end of an aligned block of MAG_SLOTS. top is the address
 * behind the newest object: at an aligned address the magazine is full, and the
 * slot below floor points to magazine_bottom, which is not marked as a free object
 * is, so that a pop from an empty one is refused by the same test as one of an object
 * that has been written to. Closed is both: top at the end, and that in the last slot.
 */
extern u64 magazine_bottom[];
#define MAG_SLOTS (LOCAL_STACK_BYTES / sizeof(void *))
#define MAG_BYTES (MAG_SLOTS * sizeof(void *))
struct magazine {
	void *slot[MAG_SLOTS];
} __aligned(LOCAL_STACK_BYTES);

struct cache_cpu {
	void **top;
	u64 start_mul; /* tells an object's start: start_of() in fast.h; 0: look closer */
	void **floor; /* the lowest slot in use */
	void **end;   /* behind the last slot */
	u64 slabs;     /* slabs made minus slabs freed, on this CPU */
	u64 start_none; /* 0 */
	u64 begun, ended; /* moves of free objects: moving_begin */
};
_Static_assert(__builtin_offsetof(struct cache_cpu, start_none) == __builtin_offsetof(struct cache_cpu, start_mul) + FRAME_CLOSER,
	       "what a frame's FRAME_CLOSER leads to");

#define MAX_CACHES (CONFIG_TINY ? 60 + 25 : 128)
extern struct cache_cpu cache_cpu[MAX_CACHES]; /* per CPU; [0] stays closed for ever */

#define CPU_OFF(id) ((u32)((id) * sizeof(struct cache_cpu)))

/* ------------------------------------------------------------------ slabs */

#define MAX_SLAB_ORDER 5
#define MAX_SLAB_OBJECTS 1000

/* Slabs of one cache and node that have free objects: two stacks, frame number |
 * tag << 32, so that a trim can move them from one to the other. */
struct slab_stacks {
	u64 stack[2];
	u64 nr, empties; /* slabs on them; slabs that became empty since the last trim */
} __aligned(64);

struct kmem_cache {
	char name[28];
	u32 id;
	u32 live;       /* 0: free slot */
	u32 size;       /* what the user asked for */
	u32 stride;     /* distance of objects in the slab */
	u32 offset;     /* of the mark in the object */
	u32 recip;      /* ceil(2^32 / stride) */
	u32 align, flags;
	u64 start_mul;  /* struct cache_cpu's; not 0: objects lie at multiples of stride */
	bool shifted;   /* so that the first is not at the beginning of each slab ... */
	u8 small_closer; /* ... but of the smallest, which might have none that way: FRAME_CLOSER */
	u32 limit;      /* objects one CPU's magazine may hold; 0: there is none, all take the long ways */
	u32 order, min_order;     /* usual and smallest order of a slab */
	u32 objects, min_objects; /* and how many objects each has */
	u32 red_left;   /* bytes before each object: a debugged cache's red zone */
	void (*ctor)(void *);
	struct magazine *magazines; /* of a cache that is not kmalloc's: one a CPU */
	u32 secret; /* of its links, with CONFIG_HARDENED */
	/* Last, and not cleared for the next cache in this slot: the stacks are empty then, and
	 * their tags go on, so that a trim of the last cache that was interrupted for so long
	 * takes no head of the new one's for what it has seen. */
	struct slab_stacks partial[MAX_NUMNODES];
};
extern struct kmem_cache caches[MAX_CACHES]; /* [0] is no cache */

/*
 * A free object holds, at cache->offset, in 8 bytes: its successor's index in the
 * slab's chain (low half; of no meaning in a magazine) and a mark (high half). It is
 * cleared when the object is handed out, and only a marked one is: so whatever was
 * done to a free object, it has one owner at most. A free that finds the mark is a
 * double free, or one chance in 2^32; a free object without it has been written to.
 * The index is kept as its difference from the mark, so that no small
 * number written over it is taken for one.
 *
 * State word, in the head page of a slab: head index 10 | free count 10 | cache
 * id 10 | on-list 1 | sequence 33. Written by anyone, with one locked cmpxchg.
 * On-list is set from before the slab is put on a stack until the call that took
 * it off has emptied or released it.
 */
static const u32 free_mark = 0x9d3bc3a5; /* any number; no link looks like an index with it */

static __always_inline u32 *mark_at(const void *obj, u32 offset)
{
	return (u32 *)((char *)obj + offset + 4);
}

static __always_inline u32 mark_get(const void *obj, u32 offset)
{
	return sanitize_read32(mark_at(obj, offset));
}

static __always_inline void mark_set(void *obj, u32 offset, u32 mark)
{
	sanitize_write32(mark_at(obj, offset), mark);
}

static __always_inline u32 link_get(const struct kmem_cache *s, const void *obj)
{
	return sanitize_read32((u32 *)((char *)obj + s->offset)) ^ free_mark ^ link_key(s->secret, obj);
}

static __always_inline void link_set(const struct kmem_cache *s, void *obj, u32 next)
{
	sanitize_write32((u32 *)((char *)obj + s->offset), next ^ free_mark ^ link_key(s->secret, obj));
}

/* The object leaves the free ones: its mark goes. */
static __always_inline void object_take(const struct kmem_cache *s, void *obj, u32 offset)
{
	mark_set(obj, offset, 0);
	sanitize_alloc(obj, s->size, offset); /* a constructed one has its mark behind it */
	if (CONFIG_KASAN)
		kasan_object_taken(s, obj);
	if (CONFIG_HARDENED && !s->ctor)
		init_taken(obj, s->size);
}

/* It joins them, to be called before anybody can get it. */
static __always_inline void object_give(const struct kmem_cache *s, void *obj, u32 offset)
{
	if (CONFIG_HARDENED && !s->ctor && !(s->flags & SLAB_POISON))
		init_given(obj, s->size);
	if (CONFIG_KASAN || !(s->flags & SLAB_TYPESAFE_BY_RCU)) /* else readers may look at it */
		sanitize_free(obj, s->size);
	mark_set(obj, offset, free_mark);
}

/* The cache that has its struct cache_cpu there. */
static __always_inline struct kmem_cache *cache_at(u64 cpu_off)
{
	return &caches[cpu_off / sizeof(struct cache_cpu)];
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

static inline struct page *slab_head(struct page *page)
{
	return page - page->tail;
}

static inline struct page *obj_slab(const void *obj)
{
	return slab_head(pfn_page(addr_pfn(obj)));
}

static __always_inline unsigned int slab_objects(const struct kmem_cache *s, unsigned int order)
{
	return order == s->order ? s->objects : s->min_objects;
}

/* Does the first object of such a slab lie where the stride says, not at its beginning? Of
 * an order that is another's by now: no further than where that ends. */
static __always_inline bool slab_shifted(const struct kmem_cache *s, unsigned int order)
{
	return s->shifted && (!s->small_closer || order == s->order);
}

/* slab.c: one slab */
/* What tells multiples of a stride from other addresses of the direct map. */
u64 slab_start_mul(u32 stride);
void *slab_object(const struct kmem_cache *s, const struct page *head, unsigned int idx);
/* Its index, or -1: p is not the start of an object of the slab. */
int slab_index(const struct kmem_cache *s, const struct page *head, const void *p);
/* A new slab, all n objects of it in the caller's hands, marked free. light: no
 * reclaim for it. */
struct page *slab_new(struct kmem_cache *s, gfp_t gfp, int nid, bool light, unsigned int *n);
/* Objects of one slab go back into it, chained or single. A report if it had too many. */
void slab_put(struct kmem_cache *s, void *const *objs, unsigned int n);
/* Objects from..n-1 of a new slab into its chain, for everyone. */
void slab_publish(struct kmem_cache *s, struct page *head, unsigned int from, unsigned int n);
/* All n but one in an order by chance; that one, marked or not, is the caller's. */
void *slab_publish_shuffled(struct kmem_cache *s, struct page *head, unsigned int n);
/* One free object, or NULL; the slab may be gone by now. */
void *slab_get_one(struct kmem_cache *s, struct page *head);
/* Up to max of them at once; how many. */
unsigned int slab_get_some(struct kmem_cache *s, struct page *head, void **objs, unsigned int max);
/* Off the list if no object is free; the caller took it off its stack. */
bool slab_unlist_if_exhausted(struct kmem_cache *s, struct page *head);
/* Free the slab's pages if no object is in use; the caller took it off its stack. */
bool slab_release_if_empty(struct kmem_cache *s, struct page *head);

/* partial.c: the stacks of slabs, and slabs in the hands of calls under way */
void partial_push(struct kmem_cache *s, struct page *head);
/* Is any slab on the node's stacks? */
static inline bool partial_any(const struct kmem_cache *s, int nid)
{
	return (u32)(load(&s->partial[nid].stack[0]) | load(&s->partial[nid].stack[1]));
}
/* Taken off, and in hand slot `slot`; NULL: none. */
struct page *partial_pop(struct kmem_cache *s, int nid, unsigned int slot);
/* A slab that was taken off goes back, unless no object is free. */
void partial_relist(struct kmem_cache *s, struct page *head);
/* One object, without taking a slab off its stack: from node nid, or -1: any. NULL:
 * there was none all the time. */
void *partial_get_one(struct kmem_cache *s, int nid);
/* Release all empty slabs: pages freed. Any context. */
u64 partial_trim(struct kmem_cache *s, int nid);
/* A slab of that node has become empty. */
void partial_count_empty(struct kmem_cache *s, int nid);
/* An empty one, of a cache without magazines, has given an object. */
void partial_uncount_empty(struct kmem_cache *s, int nid);
bool partial_wants_trim(const struct kmem_cache *s, int nid);
unsigned int hand_open(const struct page *head); /* head may be NULL */
void hand_close(unsigned int slot);
/* How many are open, on all CPUs: none at rest. */
unsigned int hands_open(void);
bool hand_open_here(void);
unsigned int hands_open_on(unsigned int cpu);

/*
 * Around each piece of a long way that may have free objects of the cache in its hands: marked,
 * and nowhere where others look. One add to the CPU's own count each; the CPU is kept between
 * them. MOVING_ANY: of any cache.
 */
#define MOVING_ANY 0
static __always_inline void moving_begin(u32 id)
{
	this_cpu_add64(cache_cpu[id].begun, 1);
	__asm__ volatile("" : : : "memory");
}

static __always_inline void moving_end(u32 id)
{
	__asm__ volatile("" : : : "memory");
	this_cpu_add64(cache_cpu[id].ended, 1);
}

/* A free object that has lost its mark: reported, and nobody gets it any more. */
void object_lost(const struct kmem_cache *s, const void *obj);
static __always_inline bool object_sound(const struct kmem_cache *s, const void *obj)
{
	return likely(mark_get(obj, s->offset) == free_mark);
}

/* magazine.c. Any context; this CPU's magazine. */
void magazine_setup(struct kmem_cache *s, unsigned int cpu, struct magazine *m);
void magazine_setup_none(unsigned int cpu); /* cache_cpu[0] */
void *magazine_pop(const struct kmem_cache *s);
bool magazine_push(const struct kmem_cache *s, void *obj);
/* Up to n objects, 0 < n <= MAG_BATCH: how many went. */
#define MAG_BATCH 32
u64 magazine_pop_many(const struct kmem_cache *s, void **out, u64 n);
u64 magazine_push_many(const struct kmem_cache *s, void *const *in, u64 n);
/* Objects that follow one another, not yet marked, of a cache without constructor. */
u64 magazine_push_new(const struct kmem_cache *s, void *first, u64 n);
/* Up to max objects back into their slabs; how many. */
u64 magazine_flush(struct kmem_cache *s, u64 max);
/* n <= MAG_BATCH free objects, of any of its slabs, each back into its own; objs is spoilt. */
void slabs_put(struct kmem_cache *s, void **objs, unsigned int n);
/* How many more it could take. */
u64 magazine_room(const struct kmem_cache *s);
/* Flush and close, so that nothing is kept; open again. */
u64 magazine_close(struct kmem_cache *s);
void magazine_open(struct kmem_cache *s);
/* Does cpu's magazine hold obj? Racy from elsewhere. */
bool magazine_holds(const struct kmem_cache *s, unsigned int cpu, const void *obj);
u64 magazine_count(const struct kmem_cache *s, unsigned int cpu);
/* The same, in any state of things: MAGAZINE_DAMAGED if the words are none of a magazine. */
#define MAGAZINE_DAMAGED (~0UL)
u64 magazine_count_checked(const struct kmem_cache *s, unsigned int cpu);

/* alloc.c: the paths from call to object and back */
void *cache_alloc_slow(struct kmem_cache *s, gfp_t gfp, int nid);
/* The same, whoever pays for the cache's objects. */
void *cache_alloc_unpaid(struct kmem_cache *s, gfp_t gfp, int nid);
void cache_free_slow(struct kmem_cache *s, void *obj);
/* An object that is nobody's any more, to those who may have it next. */
void object_release(struct kmem_cache *s, void *obj);
/* Anything but the common case: any pointer at all. */
void free_uncommon(const void *p, const char *call);
/* obj is marked as free: is it? Then it has been reported. */
bool freed_twice(const char *call, struct kmem_cache *s, const void *obj);
/* Is it in its slab's chain, in a magazine or put off, by one look? */
bool object_is_free(struct kmem_cache *s, const void *obj);

/* Is the object free? Then that is reported. */
static inline bool free_already(const char *call, struct kmem_cache *s, const void *obj)
{
	if (CONFIG_KASAN)
		return kasan_is_free(call, s, obj);
	return mark_get(obj, s->offset) == free_mark && freed_twice(call, s, obj);
}

/* cache.c */
void cache_init(void);
/* Fill in a cache's geometry and magazines; false: no memory. */
bool cache_setup(struct kmem_cache *s, u32 id, const char *name, size_t size, size_t align,
		 unsigned int flags, void (*ctor)(void *));

/* kmalloc.c: caches 1 to NR_KMALLOC; behind them those of the first NR_KMALLOC_PAID sizes
 * for what a group pays for, in the same order */
#define NR_KMALLOC 33
#define NR_KMALLOC_PAID 25
void kmalloc_init(void);
struct magazine *kmalloc_magazine(u32 id, unsigned int cpu);

/* ---------------------------------------------------------------- deferral */

/*
 * Frees that an NMI or debug exception leaves for later, when the magazine is
 * full: a stack like a magazine, served by its CPU in an interrupt.
 */
#define DEFER_MAX (MAG_SLOTS - 1) /* waiting at most, a CPU */
struct defer_counts {
	u64 queued, served;
};
DECLARE_PER_CPU(struct defer_counts, defer_counts);

void defer_init(void);
/* false: the stack is full or closed, the caller must free directly. */
bool defer_free(void *obj);
/* Does anybody wait for the stacks to be empty? Then nothing is put off. */
bool defer_closed(void);
/* Free what waits on this CPU's stack; how many. Any context. */
u64 defer_serve(void);
bool defer_holds(unsigned int cpu, const void *obj);
u64 defer_count(unsigned int cpu);
/* The i-th of those, i < defer_count. Racy from elsewhere. */
void *defer_peek(unsigned int cpu, u64 i);
/* Ask for this CPU's deferred work and trimming to be done soon. Any context. */
void defer_kick(void);
/* The same on every CPU. */
void defer_kick_all(void);
/* Wait until what was asked for is done, on every CPU. Thread, interrupts on. */
void defer_settle(void);

/* ----------------------------------------------------------------- reclaim */

/* How often the loops go round that others may keep going, by freeing what has just been
 * looked for in vain (bound.c adds them up). */
#define ALLOC_TRIES 8       /* alloc.c: a reclaim, and a look for an object */
#define RECLAIM_TRIES 8     /* page.c: a reclaim, and a look for pages */
#define MAP_LOOK_TRIES 16   /* page.c: looks at all of the map */
#define STACK_LOOK_TRIES 64 /* partial.c: walks over stacks that change */
#define ASK_POLLS 20000000  /* reclaim.c: for answers; an emulated CPU may be put aside for long */

/*
 * Not 0: nobody caches. TIGHT_LOW, as free memory is low; and TIGHT_PRESSED times the calls
 * that are at their last resort, and want to see all that is free. Changed by locked
 * instructions, in any context; read by anyone at any time.
 */
#define TIGHT_LOW 1UL
#define TIGHT_PRESSED 2UL
extern volatile u64 mm_tight;
extern u64 tight_low, tight_high; /* pages: enter below, leave above */
void reclaim_init(void);
/* Look at the free count; enter or leave tight mode. Any context. */
void tight_check(void);
/* Around the last resort of a call and its last look: others keep nothing meanwhile, so that
 * they do not take it again before the look. Any context; whoever interrupts may do the same. */
void press_begin(void);
void press_end(void);
/* All that this context can do to find memory; true if anything was given back. */
bool reclaim(void);
/* The same on all CPUs, waiting for them, if gfp and context allow it. */
bool reclaim_wait(gfp_t gfp);
/* Do they? */
bool reclaim_may_wait(gfp_t gfp);
/* The start of a call that may do that, if it comes to it: for the checker of locks. */
static __always_inline void reclaim_announce(gfp_t gfp)
{
	if (CONFIG_LOCKDEP && reclaim_may_wait(gfp))
		lock_wait_service(&lock_interrupts);
}
/*
 * Requests to a CPU for all that it caches. asked grows with each, by whoever asks: a locked
 * add. answered follows, and never goes back: its own CPU only, any context, by one unlocked
 * cmpxchg each.
 */
struct cpu_asked {
	u64 asked, answered;
};
DECLARE_PER_CPU(struct cpu_asked, cpu_asked);
/* All that this CPU caches goes back; objects and pages. Any context. */
u64 flush_cpu(void);
/* All empty slabs of all caches. */
u64 trim_all(void);

/* ----------------------------------------------------------------- reports */

/* "mm: bad call: kfree(ptr) on CPU n in CONTEXT: what", or a panic of that; counts it. */
void mm_report(const char *call, const void *p, const char *fmt, ...) __printf(3, 4);
/* Is what belongs to the newest report to be printed? Then each line by this call. */
bool mm_report_printed(void);
void mm_report_more(const char *fmt, ...) __printf(1, 2);
/* Will the next one be printed? Then others may add to it. */
bool mm_report_wanted(void);

struct mm_fail_counts {
	u64 failures, spurious;
};
DECLARE_PER_CPU(struct mm_fail_counts, mm_fail_counts);

#endif
