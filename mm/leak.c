/*
 * leak.c - which objects of a cache are in use: what kmem_cache_destroy lists when it
 * is called too early.
 *
 * It goes by the mark that every free object has (internal.h) and only reads, so on a
 * busy machine it may be off by what is under way; an object in use that holds the mark
 * by chance is counted, but not listed. Any context.
 */
#include "mm/cache.h"
#include <anyctx/smp.h>

#define LISTED 16

struct found {
	u64 used;             /* by the counts */
	void **objs;          /* some of them, by their marks */
	unsigned int n, max;
};

static void look_at_slab(const struct kmem_cache *s, const struct page *head, struct found *f)
{
	unsigned int objects = slab_objects(s, head->order);

	f->used += objects - ST_FREE(load(&head->state));
	for (unsigned int i = 0; i < objects && f->n < f->max; i++) {
		void *obj = slab_object(s, head, i);

		/* One in quarantine has no mark yet. */
		if (CONFIG_KASAN ? *kasan_shadow((u64)obj) != KASAN_FREE : !object_sound(s, obj))
			f->objs[f->n++] = obj;
	}
}

/* Free, though not in their slabs. */
static u64 kept(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
		n += magazine_count(s, c);
		for (u64 i = 0; i < defer_count(c); i++)
			n += page_cpu_off(virt_to_page(defer_peek(c, i))) == CPU_OFF(s->id);
	}
	return CONFIG_KASAN ? n + kasan_quarantine_count(s) : n;
}

u64 cache_in_use(const struct kmem_cache *s, void **objs, unsigned int max)
{
	struct found f = { .objs = objs, .max = max };

	for (u64 pfn = 0; pfn < max_pfn; pfn++) {
		const struct page *page = pfn_page(pfn);

		if (READ_ONCE(page->type) == PT_SLAB && page_cpu_off(page) == CPU_OFF(s->id) && !page->tail)
			look_at_slab(s, page, &f);
	}
	return f.used - kept(s);
}

void cache_report_in_use(const struct kmem_cache *s)
{
	void *objs[LISTED];
	u64 used, n;

	if (!mm_report_printed())
		return;
	for (unsigned int i = 0; i < LISTED; i++)
		objs[i] = NULL;
	used = cache_in_use(s, objs, LISTED);
	for (n = 0; n < LISTED && objs[n]; n++) {
		const struct page *head = obj_slab(objs[n]);

		mm_report_more("object %lx, in the slab at %lx, %u of %u objects of which are free", (u64)objs[n],
			       (u64)pfn_addr(page_pfn(head)), ST_FREE(load(&head->state)), slab_objects(s, head->order));
	}
	if (used > n)
		mm_report_more("and %lu more", used - n);
}
