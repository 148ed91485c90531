/*
 * object.c - what the allocator tells of objects and blocks: their tracks, what was
 * asked for of them, and their frees.
 *
 * Invariant: the first shadow byte of an object says KASAN_FREE from the free to the
 * next allocation, the time in quarantine included, and never while it is in use. A free
 * sets it by one `xchg`: whoever finds it set has come second, on whichever CPU.
 *
 * Any context, but for kasan_tracks_init (CPU 0 while booting).
 */
#include <arch/machine.h>
#include "mm/early.h"
#include "kernel/rcu.h"
#include "mm/internal.h"
#include "mm/kasan/private.h"
#include "mm/typesafe.h"

/* One a page of each line that has memory; NULL: it has none. */
static struct kasan_tracks **line_tracks;

static struct kasan_tracks *page_tracks(u64 pfn)
{
	return &line_tracks[pfn >> LINE_SHIFT][pfn & (LINE_PAGES - 1)];
}

/* At the end of the object's place. */
struct kasan_tracks *kasan_tracks_of(const struct kmem_cache *s, const void *obj)
{
	return (struct kasan_tracks *)((char *)obj - s->red_left + s->stride) - 1;
}

void kasan_tracks_init(void)
{
	line_tracks = phys_to_virt(early_alloc(nr_lines * sizeof(*line_tracks), PAGE_SIZE));
	for (u64 line = 0; line < nr_lines; line++)
		if (line_node[line] >= 0)
			line_tracks[line] = phys_to_virt(early_alloc(LINE_PAGES * sizeof(**line_tracks), PAGE_SIZE));
}

/* What lies there is another's. */
void kasan_slab_made(const struct kmem_cache *s, void *first, u32 objects)
{
	char *obj = first;

	for (u32 i = 0; i < objects; i++, obj += s->stride) {
		struct kasan_tracks *t = kasan_tracks_of(s, obj);

		t->alloc.frames = t->free.frames = 0;
		t->free.pc[KASAN_READERS] = (u32)rcu_ended(); /* nobody has it from before */
	}
}

void kasan_object_taken(const struct kmem_cache *s, void *obj)
{
	kasan_track_here(&kasan_tracks_of(s, obj)->alloc, KASAN_FRAMES);
}

void kasan_block_taken(u64 pfn, unsigned int order)
{
	struct kasan_track *t = &page_tracks(pfn)->alloc;

	kasan_track_here(t, KASAN_FRAMES);
	t->order = (u8)order;
}

/* In each page, as the block's head may be another block's when somebody asks. */
void kasan_block_given(u64 pfn, unsigned int order)
{
	struct kasan_track t;

	kasan_track_here(&t, KASAN_FRAMES);
	t.order = (u8)order;
	for (u64 i = 0; i < 1UL << order; i++)
		page_tracks(pfn + i)->free = t;
}

const struct kasan_tracks *kasan_page_tracks(u64 pfn)
{
	return line_tracks[pfn >> LINE_SHIFT] ? page_tracks(pfn) : NULL;
}

/* -------------------------------------------------------- what was asked for */

static size_t whole_size(const struct page *page)
{
	return page->type == PT_SLAB ? cache_at(page_cpu_off(page))->size : PAGE_SIZE << page->order;
}

void kasan_asked_for(const void *p, size_t size)
{
	size_t whole;

	if (ZERO_OR_NULL_PTR(p))
		return;
	whole = whole_size(pfn_page(addr_pfn(p)));
	kasan_poison(p, whole, KASAN_REDZONE);
	kasan_unpoison(p, size);
}

/* ------------------------------------------------------------------- frees */

bool kasan_is_free(const char *call, const struct kmem_cache *s, const void *obj)
{
	if (*kasan_shadow((u64)obj) != KASAN_FREE)
		return false;
	kasan_report_free(call, s, obj);
	return true;
}

/* Before the object is free for anybody: else a reader would find an older number. */
static void readers_until(const struct kmem_cache *s, const void *obj)
{
	if (*kasan_shadow((u64)obj) != KASAN_FREE)
		WRITE_ONCE(kasan_tracks_of(s, obj)->free.pc[KASAN_READERS], typesafe_number());
}

bool kasan_free_object(const char *call, const struct kmem_cache *s, void *obj)
{
	bool typesafe = s->flags & SLAB_TYPESAFE_BY_RCU;

	if (typesafe)
		readers_until(s, obj);
	if (__atomic_exchange_n(kasan_shadow((u64)obj), (u8)KASAN_FREE, __ATOMIC_ACQ_REL) == KASAN_FREE) {
		kasan_report_free(call, s, obj);
		return false;
	}
	kasan_poison(obj, s->size, KASAN_FREE);
	kasan_track_here(&kasan_tracks_of(s, obj)->free, typesafe ? KASAN_READERS : KASAN_FRAMES);
	return true;
}

/* ----------------------------------------------------------------- readers */

/* The typesafe cache that addr is in a slab of, or NULL. The slab of who may look stays. */
static struct kmem_cache *typesafe_at(u64 addr)
{
	u64 pfn = addr_pfn((void *)addr);
	struct kmem_cache *s;

	if (pfn >= max_pfn || !kasan_page_tracks(pfn) || READ_ONCE(pfn_page(pfn)->type) != PT_SLAB)
		return NULL;
	s = cache_at(*frame_cache(pfn));
	return s->flags & SLAB_TYPESAFE_BY_RCU ? s : NULL;
}

/* The object may be taken or freed meanwhile: its first byte tells. */
bool kasan_reader_may(u64 addr, u64 size)
{
	struct kmem_cache *s = rcu_read_lock_held() ? typesafe_at(addr) : NULL;
	struct page *head;
	u64 idx, obj;

	if (!s)
		return false;
	head = slab_head(pfn_page(addr_pfn((void *)addr)));
	idx = (addr - (u64)pfn_addr(page_pfn(head))) / s->stride;
	if (idx >= slab_objects(s, head->order))
		return false;
	obj = (u64)slab_object(s, head, (unsigned int)idx);
	if (addr < obj || addr + size > obj + s->size)
		return false;
	return *kasan_shadow(obj) != KASAN_FREE ||
	       !typesafe_over(READ_ONCE(kasan_tracks_of(s, (void *)obj)->free.pc[KASAN_READERS]));
}
