/*
 * slab_debug.c - what a debugged cache keeps beside its objects, and the looks at it.
 *
 * An object in its place of `stride` bytes, what is in brackets by the cache's flags:
 *
 *	[red zone] object [red zone] link, mark [who allocated] [who freed] padding
 *
 * Invariants. (1) The mark is 0 while the object is in use, mark_leaving while a free
 * looks at it, free_mark while it is free, mark_lost once it was found corrupt. From 0 it
 * changes by one locked compare-and-swap: so of two frees at the very same instant,
 * nested ones too, one finds out. (2) All else around and in a free object belongs to the
 * call that has taken it out of its slab, or has changed its mark. (3) Objects of an
 * isolated slab are given to nobody: those that are free go by the swap of its state
 * word, those that come back stay out, and one that slips in between is passed over.
 *
 * All functions but slab_debug_make_room: any context.
 */
#include "kernel/context.h"
#include "mm/mm.h"
#include "mm/slab_debug.h"
#include <anyctx/smp.h>
#include <arch/debug.h>

/* Linux's values. */
#define RED_FREE 0xbb
#define RED_USED 0xcc
#define POISON_FREE 0x6b
#define POISON_END 0xa5   /* the last byte of a free one */
#define POISON_FRESH 0x5a /* handed out, not yet written to */

#define RED_RIGHT 8 /* at least */

static const u32 mark_leaving = 0x1eaf1e55, mark_lost = 0x10570b1e;

static u32 round_up(u32 n, u32 to)
{
	return (n + to - 1) & ~(to - 1);
}

/* Constructed objects keep their state while they are free. */
static bool poisoned(const struct kmem_cache *s)
{
	return s->flags & SLAB_POISON && !s->ctor;
}

void slab_debug_make_room(struct kmem_cache *s)
{
	bool red = s->flags & SLAB_RED_ZONE;
	u32 end;

	s->red_left = red ? s->align : 0;
	s->offset = round_up(s->size, 8) + (red ? RED_RIGHT : 0);
	end = s->offset + 8 + (s->flags & SLAB_STORE_USER ? NR_TRACKS * (u32)sizeof(struct slab_track) : 0);
	s->stride = round_up(s->red_left + end, s->align);
}

/* --------------------------------------------------------------- tracks */

struct slab_track *slab_debug_track(const struct kmem_cache *s, const void *obj, enum track which)
{
	return (struct slab_track *)((char *)obj + s->offset + 8) + which;
}

/* From where the allocator was called. */
static __noinline void set_track(const struct kmem_cache *s, void *obj, enum track which)
{
	struct slab_track *t = slab_debug_track(s, obj, which);
	u64 at[TRACK_ADDRS * 2];
	unsigned int n, i = 0, k = 0;

	n = arch_backtrace(0, (u64)__builtin_frame_address(0), at, ARRAY_SIZE(at));
	while (i < n && mm_in_text(at[i]))
		i++;
	while (k < TRACK_ADDRS)
		t->addr[k++] = i < n ? at[i++] : 0;
	t->cpu = smp_processor_id();
	t->context = current_context();
	t->used = 1;
}

/* --------------------------------------------------------------- looking */

/* n bytes from `from`, counted from the object's start. */
static bool wrong(const void *obj, s64 from, u64 n, u8 should, struct slab_fault *f)
{
	const u8 *first;
	size_t length;

	if (debug_same((const u8 *)obj + from, should, n, &first, &length))
		return false;
	f->at = first - (const u8 *)obj;
	f->length = length;
	f->is = *first;
	f->should = should;
	return true;
}

static bool red_wrong(const struct kmem_cache *s, const void *obj, u8 should, struct slab_fault *f)
{
	if (!(s->flags & SLAB_RED_ZONE))
		return false;
	f->kind = FAULT_RED_RIGHT;
	if (wrong(obj, s->size, s->offset - s->size, should, f))
		return true;
	f->kind = FAULT_RED_LEFT;
	return wrong(obj, -(s64)s->red_left, s->red_left, should, f);
}

static bool poison_wrong(const struct kmem_cache *s, const void *obj, struct slab_fault *f)
{
	if (!poisoned(s))
		return false;
	f->kind = FAULT_POISON;
	return wrong(obj, 0, s->size - 1, POISON_FREE, f) || wrong(obj, s->size - 1, 1, POISON_END, f);
}

static bool free_wrong(const struct kmem_cache *s, const void *obj, struct slab_fault *f)
{
	return red_wrong(s, obj, RED_FREE, f) || poison_wrong(s, obj, f);
}

bool slab_debug_sound(const struct kmem_cache *s, const void *obj)
{
	struct slab_fault f;

	return !free_wrong(s, obj, &f);
}

/* --------------------------------------------------------------- filling */

static void set_red(const struct kmem_cache *s, void *obj, u8 byte)
{
	if (!(s->flags & SLAB_RED_ZONE))
		return;
	debug_fill((u8 *)obj - s->red_left, byte, s->red_left);
	debug_fill((u8 *)obj + s->size, byte, s->offset - s->size);
}

static void make_free(const struct kmem_cache *s, void *obj)
{
	set_red(s, obj, RED_FREE);
	if (!poisoned(s))
		return;
	debug_fill(obj, POISON_FREE, s->size - 1);
	debug_fill((u8 *)obj + s->size - 1, POISON_END, 1);
}

void slab_debug_new(struct kmem_cache *s, struct page *head, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		void *obj = slab_object(s, head, i);

		make_free(s, obj);
		mark_set(obj, s->offset, free_mark);
		if (s->flags & SLAB_STORE_USER)
			debug_fill(slab_debug_track(s, obj, TRACK_ALLOC), 0, NR_TRACKS * sizeof(struct slab_track));
	}
}

/* ------------------------------------------------------------- what was found */

/* The caller holds an object of it, so it is not released meanwhile. */
static void isolate(struct kmem_cache *s, struct page *head)
{
	u64 st;

	WRITE_ONCE(head->isolated, 1);
	do {
		st = load(&head->state);
	} while (ST_CACHE(st) == s->id && !cas(&head->state, st, make_state(st, ST_NONE, 0, s->id, st & ST_ONLIST)));
}

/* Nobody gets it any more, nor another one of its slab. */
static void found(const char *call, struct kmem_cache *s, void *obj, const struct slab_fault *f)
{
	mark_set(obj, s->offset, mark_lost);
	isolate(s, obj_slab(obj));
	slab_debug_report(call, s, obj, f);
}

bool slab_debug_alloc(struct kmem_cache *s, void *obj)
{
	struct slab_fault f;

	if (READ_ONCE(obj_slab(obj)->isolated))
		return false;
	sanitize_alloc(obj, s->size, true);
	if (free_wrong(s, obj, &f)) {
		found("slab", s, obj, &f);
		return false;
	}
	set_red(s, obj, RED_USED);
	if (poisoned(s))
		debug_fill(obj, POISON_FRESH, s->size);
	if (s->flags & SLAB_STORE_USER)
		set_track(s, obj, TRACK_ALLOC);
	return true;
}

/* The mark was not 0: another free was there first, or somebody has written to it. */
static void free_refused(const char *call, struct kmem_cache *s, void *obj, u32 mark)
{
	struct slab_fault f = { .kind = FAULT_FREE_ALREADY };

	if (mark == free_mark || mark == mark_leaving || mark == mark_lost) {
		slab_debug_report(call, s, obj, &f);
	} else if (wrong(obj, s->offset + 4, 4, 0, &f)) {
		f.kind = FAULT_WORD;
		found(call, s, obj, &f);
	}
}

bool slab_debug_free(const char *call, struct kmem_cache *s, void *obj)
{
	struct slab_fault f = { .kind = FAULT_FREE_ALREADY };
	u32 was = debug_claim(mark_at(obj, s->offset), mark_leaving);

	if (was) {
		free_refused(call, s, obj, was);
		return false;
	}
	if (s->flags & SLAB_CONSISTENCY_CHECKS && object_is_free(s, obj)) { /* somebody has cleared its mark */
		mark_set(obj, s->offset, free_mark);
		slab_debug_report(call, s, obj, &f);
		return false;
	}
	if (red_wrong(s, obj, RED_USED, &f)) {
		found(call, s, obj, &f);
		return false;
	}
	make_free(s, obj);
	if (s->flags & SLAB_STORE_USER)
		set_track(s, obj, TRACK_FREE);
	if (likely(!READ_ONCE(obj_slab(obj)->isolated)))
		return true;
	mark_set(obj, s->offset, free_mark);
	return false;
}
