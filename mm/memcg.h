/*
 * memcg.h - the inside of the accounting: groups, charge words, and what the paths of
 * the allocator call. docs/design-memcg.md states the invariants.
 */
#ifndef MM_MEMCG_H
#define MM_MEMCG_H

#include "mm/internal.h"
#include "kernel/context.h"
#include <anyctx/memcg.h>

/* Charges are counted in these. */
#define UNIT_SHIFT 3
#define UNIT_MOST ((1UL << 20) - 1) /* in one charge, or in a stock */

/*
 * A charge word: value 34 | held 1 | CPU 6 | sequence 23. Held: the charge of that number
 * on that CPU has it, and until that is decided the value is as before. Not held: the
 * number of the last one that had it, so that an old view of the word never fits again.
 */
#define WORD_VALUE ((1UL << 34) - 1)
#define WORD_HELD (1UL << 34)
#define WORD_CPU_SHIFT 35
#define WORD_SEQ_SHIFT 41

/* The value of a CPU's stock: units 20 | group 8. */
#define STOCK_UNITS(v) ((v) & UNIT_MOST)
#define STOCK_GROUP(v) ((v) >> 20 & 255)

/* life: references 32 | live 1 | generation 31. The group is free when it is not live. */
#define LIFE_REFS(l) ((u32)(l))
#define LIFE_LIVE (1UL << 32)
#define LIFE_GENERATION (1UL << 33)

/* The watermark that the group of that life begins with. */
static inline u64 watermark_begin(u64 life)
{
	return life / LIFE_GENERATION * (WORD_VALUE + 1);
}

struct mem_cgroup {
	u64 count;     /* charge word: units in use or in stock, here and below */
	u64 watermark; /* the most there ever were 34 | generation 30: who is late with an older group's finds another word */
	u64 limit;     /* units */
	u64 full;      /* odd: the limit has been met, nobody keeps a stock here or below */
	u64 failcnt;
	u64 life;
	struct mem_cgroup *parent; /* constant while it lives, as depth and name */
	u32 depth;
	char name[28];
} __aligned(64);

extern struct mem_cgroup groups[MEMCG_MAX_GROUPS + 1]; /* [0] is nobody */

struct memcg_cpu {
	u64 op;    /* the charge under way on this CPU; 0: none */
	u64 stock; /* charge word: what is charged in advance */
	u64 seq;   /* numbers of charges; this CPU only */
	struct mem_cgroup *active[NR_CONTEXT];
	u64 refused[NR_CONTEXT]; /* charges, by limits; this CPU only */
} __aligned(64);
DECLARE_PER_CPU(struct memcg_cpu, memcg_cpu);

static inline u64 group_id(const struct mem_cgroup *g)
{
	return (u64)(g - groups);
}

/* -------------------------------------- memcg_charge.c: several words at once */

/* units to the group and all above it, or none; NULL: done, else whose limit it was. */
struct mem_cgroup *charge_all(struct mem_cgroup *g, u64 units);
/* The same, and units more in the stock of this CPU, which is this group's or empty. A
 * group that is full refuses it. */
struct mem_cgroup *charge_stock(struct mem_cgroup *g, u64 units);
/* If the stock of cpu has the value v: none there, and so much less in its group and
 * above it. */
void charge_drain(unsigned int cpu, u64 v);
/* The word, not held, whoever had to be helped for it. */
u64 charge_word(u64 *word);
/* units less in this group alone. */
void charge_drop(struct mem_cgroup *g, u64 units);

/* ------------------------------------------ memcg_stock.c: charging and giving back */

/* false: a limit does not allow it. The caller has a reference, or a charge there. */
bool memcg_charge(struct mem_cgroup *g, u64 units);
void memcg_uncharge(struct mem_cgroup *g, u64 units);
/* Nothing of the group or below it is in a stock on return, unless it was put there since. */
void memcg_drain(const struct mem_cgroup *g);
/* Units in stocks of the group and below. */
u64 memcg_stocked(const struct mem_cgroup *g);
/* The limit has been met; it has not any more, if there is room. */
u64 memcg_full_set(struct mem_cgroup *g);
void memcg_full_clear(struct mem_cgroup *g);

/* ------------------------------------------------------- memcg.c: groups */

/* Has the last reference been dropped? Then nobody charges it any more. */
static inline bool memcg_orphan(const struct mem_cgroup *g)
{
	return !LIFE_REFS(load(&g->life));
}

/* After something has been taken from the group: is this its end? */
void memcg_may_end(struct mem_cgroup *g);

/* ------------------------------ memcg_alloc.c: what is paid for, and by whom */

/* As cache_alloc_slow and page_alloc with count_failure, paid by the active group: for
 * a cache with SLAB_ACCOUNT, and for __GFP_ACCOUNT. */
void *memcg_object_alloc(struct kmem_cache *s, gfp_t gfp, int nid);
struct page *memcg_block_alloc(gfp_t gfp, int nid, unsigned int order, u32 refcount, enum page_type type);
/* Before they are freed: nobody pays any more. */
void memcg_object_freed(struct kmem_cache *s, struct page *head, unsigned int idx);
void memcg_block_freed(struct page *page, unsigned int order);
/* A new slab of such a cache: nobody pays for its n objects yet. */
void memcg_slab_begin(const struct kmem_cache *s, struct page *head, unsigned int n);
/* Is it paid for, if one asks for that? Then kmalloc's cache for the size, up to
 * MEMCG_LARGEST_OBJECT, is another. */
static inline bool memcg_pays(gfp_t gfp)
{
	return gfp & __GFP_ACCOUNT && active_memcg();
}

/* The group's number for each object of a slab lies at the slab's end. */
static inline u8 *memcg_owners(const struct kmem_cache *s, const struct page *head)
{
	u32 n = slab_objects(s, head->order);

	return (u8 *)pfn_addr(page_pfn(head)) + (PAGE_SIZE << head->order) - ((n + 7) & ~7u);
}

/* Its size, not its stride: what debugging adds is nobody's. */
static inline u64 object_units(const struct kmem_cache *s)
{
	return (s->size + 7) >> UNIT_SHIFT;
}

static inline u64 block_units(unsigned int order)
{
	return PAGE_SIZE << order >> UNIT_SHIFT;
}

/* ----------------------------------------------------------- memcg_info.c */

/* At rest: each difference between the groups' counts and who pays is told to `differ`. */
void memcg_check(void (*differ)(const char *what, u64 id, u64 is, u64 should));

#endif
