/*
 * kasan.h - memory checked access by access: the shadow, and what the allocator, the
 * paging code and the tests ask of it. docs/design-kasan.md.
 *
 * The compiler puts a call before each access (check.c). A byte of shadow stands for
 * eight bytes of memory: 0, all may be used; 1 to 7, so many of the first; others, none,
 * and why.
 *
 * Everything here is called under `if (CONFIG_KASAN)` only, from any context where
 * nothing else is said.
 */
#ifndef MM_KASAN_KASAN_H
#define MM_KASAN_KASAN_H

#include <anyctx/config.h>
#include <anyctx/types.h>

struct kmem_cache;
struct page;

/* What the shadow says of memory that is not to be used. */
enum kasan_code {
	KASAN_STACK_LEFT = 0xf1, /* these four are the compiler's */
	KASAN_STACK_MID = 0xf2,
	KASAN_STACK_RIGHT = 0xf3,
	KASAN_STACK_SCOPE = 0xf8,
	KASAN_GLOBAL = 0xf9,     /* behind a global variable */
	KASAN_FREE = 0xfb,       /* an object or page that is nobody's */
	KASAN_REDZONE = 0xfc,    /* behind what was asked for */
};

/* ---- shadow.c. The three that map: CPU 0 while booting, while early_alloc works. */
#define KASAN_GRANULE 8UL
#define KASAN_SHADOW_OFFSET 0xdffffc0000000000UL /* config/kasan.mk tells the compiler */

static __always_inline u8 *kasan_shadow(u64 addr)
{
	return (u8 *)((addr >> 3) + KASAN_SHADOW_OFFSET);
}

/* Has addr a shadow? Nothing has before kasan_init. */
bool kasan_shadowed(u64 addr);
/* A range of RAM gets its shadow; ranges come in order. */
void kasan_map_ram(u64 base, u64 end);
/* From here on accesses are checked. All RAM has its shadow, and is below ram_end. */
void kasan_init(u64 ram_end);
/* New stacks, mapped from the start of their area on: they get their shadow. */
void kasan_map_stacks(u64 area, u64 end);
/* p is a multiple of 8 in memory that has a shadow. */
void kasan_poison(const void *p, size_t size, enum kasan_code code);
void kasan_unpoison(const void *p, size_t size);
/* The first byte of [addr, addr + size) that may not be used, or addr + size. */
u64 kasan_first_bad(u64 addr, size_t size);

/* Is it an instruction of the checks themselves (check.c, string.c)? */
bool kasan_in_checks(u64 pc);

/* ---- track.c: who had it. */
#define KASAN_FRAMES 7
struct kasan_track {
	u8 cpu, context, frames, order; /* no frames: nobody. order: of a block of pages */
	u32 pc[KASAN_FRAMES];           /* their lower halves; the upper one is that of the kernel */
};
/* Behind each object: of its last allocation and its last free. In a typesafe cache the last
 * frame of the free is the grace period until whose end readers may look at the object. */
struct kasan_tracks {
	struct kasan_track alloc, free;
};
#define KASAN_READERS (KASAN_FRAMES - 1)
/* With so many frames at most. */
void kasan_track_here(struct kasan_track *t, unsigned int most);

/* ---- object.c: what the allocator tells. */
struct kasan_tracks *kasan_tracks_of(const struct kmem_cache *s, const void *obj);
/* Tracks for all pages; CPU 0 while booting, before the last early_alloc. */
void kasan_tracks_init(void);
void kasan_slab_made(const struct kmem_cache *s, void *first, u32 objects);
void kasan_object_taken(const struct kmem_cache *s, void *obj);
void kasan_block_taken(u64 pfn, unsigned int order);
void kasan_block_given(u64 pfn, unsigned int order);
/* NULL: no memory of the allocator's there. */
const struct kasan_tracks *kasan_page_tracks(u64 pfn);
/* Of the object or block at p, size bytes were asked for: the rest is redzone. */
void kasan_asked_for(const void *p, size_t size);
/* Is it an access by a reader to an object of a typesafe cache, free or not, before the grace
 * period of its free has ended? */
bool kasan_reader_may(u64 addr, u64 size);
/* Is the object free? Then that is reported. */
bool kasan_is_free(const char *call, const struct kmem_cache *s, const void *obj);
/* The object is free from now on; false: it was free before, which has been reported. */
bool kasan_free_object(const char *call, const struct kmem_cache *s, void *obj);

/* ---- quarantine.c: freed objects that nobody gets for a while. */
void kasan_quarantine_init(void);
/* obj is in it from now on; what has to leave it for that, for good, is freed. false: it
 * is not to wait, as memory is tight, or a test does not want it. */
bool kasan_quarantine_put(void *obj);
/* All that is in it, on all CPUs, is freed: how many objects. */
u64 kasan_quarantine_drain(void);
/* Tests of what a free does to the allocator: on = false, none is kept. Thread. */
void kasan_quarantine_set(bool on);
/* How many are in it: of s, or (NULL) of all caches. */
u64 kasan_quarantine_count(const struct kmem_cache *s);
u64 kasan_quarantine_bytes(void); /* that one CPU's may hold */

/* ---- globals.c */
void kasan_globals_init(void);
/* The variable that addr lies in or behind: its name, or NULL. */
const char *kasan_global_at(u64 addr, u64 *start, u64 *size);

/* ---- report.c */
void kasan_report(u64 addr, u64 size, bool write, u64 pc);
void kasan_report_free(const char *call, const struct kmem_cache *s, const void *obj);
/* The newest report as it is printed, for who looks when nothing is under way. */
const char *kasan_last_report(void);

#endif
