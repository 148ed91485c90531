/*
 * slab_debug.h - debugging of single caches: what is asked for by slab_debug=FZPU or the
 * flags of kmem_cache_create, and what the allocator asks of it.
 *
 * A debugged cache has no magazines: all its calls take the long ways (alloc.c), where
 * these functions are called. docs/design-slab-debug.md has the layout and the invariants.
 */
#ifndef MM_SLAB_DEBUG_H
#define MM_SLAB_DEBUG_H

#include "mm/internal.h"

static __always_inline bool slab_debugged(const struct kmem_cache *s)
{
	return unlikely(s->flags & SLAB_DEBUG_FLAGS);
}

/* CPU 0 while booting: is slab_debug= well formed? Else told what is wrong. */
bool slab_debug_init(void);
/* flags, and those that slab_debug= asks for a cache of this name. */
unsigned int slab_debug_flags(const char *name, unsigned int flags);
/* The same by this text, in the form of the argument. */
unsigned int slab_debug_flags_of(const char *text, const char *name);
/* NULL, or the word of it that is wrong. */
const char *slab_debug_bad_text(const char *text);

/* Room around each object, once its size, offset and stride are those of a plain one. */
void slab_debug_make_room(struct kmem_cache *s);
static inline void slab_debug_lay_out(struct kmem_cache *s)
{
	if (slab_debugged(s))
		slab_debug_make_room(s);
}

/* ---- any context, of a debugged cache, an object of one of its slabs ---- */

/* A new slab that nobody else has seen: its objects are free ones. */
void slab_debug_new(struct kmem_cache *s, struct page *head, unsigned int n);
/* This free object is to be the caller's; false: it is not to be used. */
bool slab_debug_alloc(struct kmem_cache *s, void *obj);
/* It is to be free; false: it stays as it is, reported or nobody's. */
bool slab_debug_free(const char *call, struct kmem_cache *s, void *obj);
/* Does a free object look as it should? */
bool slab_debug_sound(const struct kmem_cache *s, const void *obj);

/* ---- what was found, and the report of it (slab_debug_report.c) ---- */

#define TRACK_ADDRS 8

/* Who allocated or freed an object: written by its owner of that moment. */
struct slab_track {
	u64 addr[TRACK_ADDRS]; /* where from, outwards; 0: no more */
	u32 cpu, used;         /* used: 0 if there was no such call yet */
	u64 context;
};
enum track { TRACK_ALLOC, TRACK_FREE, NR_TRACKS };

enum slab_fault_kind {
	FAULT_RED_LEFT, FAULT_RED_RIGHT, FAULT_POISON, FAULT_WORD, FAULT_FREE_ALREADY,
	NR_FAULTS,
};

struct slab_fault {
	enum slab_fault_kind kind;
	s64 at;        /* the first wrong byte, from the object's start */
	u64 length;    /* bytes through the last wrong one */
	u8 is, should;
};

/* The object's track; of a cache with SLAB_STORE_USER. */
struct slab_track *slab_debug_track(const struct kmem_cache *s, const void *obj, enum track which);
/* Tell it: found by that call. */
void slab_debug_report(const char *call, struct kmem_cache *s, const void *obj, const struct slab_fault *f);

/* ---- bytes of memory that nobody else looks at (slab_debug_bytes.c) ---- */

void debug_fill(void *p, u8 byte, size_t n);
/* Are n bytes from p all so? Else the first that is not, and how many through the last. */
bool debug_same(const void *p, u8 byte, size_t n, const u8 **first, size_t *length);
/* mark 0 becomes `to`, by one locked instruction; what it was. */
u32 debug_claim(u32 *mark, u32 to);

#endif
