/*
 * check.c - the full walk: every structure read through, every counter compared.
 *
 * For a machine at rest (no call under way, thread context); then every
 * difference is a bug. Prints each, up to a bound.
 */
#include "kernel/printk.h"
#include "mm/memcg.h"
#include "mm/mm.h"
#include "mm/slab_debug.h"
#include "mm/walk.h"
#include <anyctx/smp.h>

#define SHOWN 20

static unsigned int differences;

static void differ(const char *what, u64 id, u64 is, u64 should)
{
	if (differences++ < SHOWN)
		printk("mm_check: %s (%lx): %ld, the walk says %ld\n", what, id, (long)is, (long)should);
}

/* ------------------------------------------------------------------ slabs */

/* The chain is as long as the count, inside the slab, and marked. */
static void check_chain(const struct kmem_cache *s, struct page *head)
{
	u32 idx = ST_HEAD(head->state), n = 0, objects = slab_objects(s, head->order);

	for (; idx != ST_NONE && n <= objects; n++) {
		const void *obj = slab_object(s, head, idx < objects ? idx : 0);

		if (idx >= objects || mark_get(obj, s->offset) != free_mark) {
			differ("link or mark of a free object", (u64)obj, mark_get(obj, s->offset), free_mark);
			return;
		}
		if (slab_debugged(s) && !slab_debug_sound(s, obj))
			differ("bytes of a free object of a debugged cache", (u64)obj, 1, 0);
		idx = link_get(s, obj);
	}
	if (n != ST_FREE(head->state))
		differ("free objects of a slab", page_pfn(head), ST_FREE(head->state), n);
}

static void check_slab(struct page *head)
{
	const struct kmem_cache *s = cache_at(page_cpu_off(head));
	u64 st = head->state;

	if (!s->live || ST_CACHE(st) != s->id)
		differ("slab's cache id", page_pfn(head), ST_CACHE(st), s->id);
	if (ST_FREE(st) && !(st & ST_ONLIST))
		differ("slab with free objects is on no list", page_pfn(head), 0, 1);
	for (unsigned int i = 0; i < 1u << head->order; i++)
		if (head[i].type != PT_SLAB || head[i].tail != i || page_cpu_off(&head[i]) != page_cpu_off(head))
			differ("page of a slab", page_pfn(head) + i, head[i].type, PT_SLAB);
	check_chain(s, head);
}

static void check_moves(u64 id, unsigned int cpu)
{
	const struct cache_cpu *c = per_cpu_ptr(cache_cpu[id], cpu);

	if (c->begun != c->ended)
		differ("moves of a cache's objects that have begun", id, c->begun, c->ended);
}

/* Each stack holds slabs of the cache and node that say that they are listed. */
static u64 check_stack(const struct kmem_cache *s, u64 stack, int nid)
{
	u32 pfn = (u32)stack;
	u64 n = 0;

	for (; pfn && n <= managed_pages; pfn = pfn_page(pfn)->next, n++) {
		const struct page *head = pfn_page(pfn);

		if (head->type != PT_SLAB || page_cpu_off(head) != CPU_OFF(s->id) || page_to_nid(head) != nid)
			differ("a listed page is not a slab of the cache and node", pfn, page_cpu_off(head), CPU_OFF(s->id));
		if (!(head->state & ST_ONLIST))
			differ("a listed slab says that it is not", pfn, 0, 1);
	}
	return n;
}

/* Each object in a magazine is one of the cache's, marked, and there once. */
static void check_magazine(const struct kmem_cache *s, unsigned int cpu)
{
	const struct cache_cpu *c = per_cpu_ptr(cache_cpu[s->id], cpu);
	u64 n = magazine_count(s, cpu);

	for (u64 i = 0; i < n; i++) {
		const void *obj = c->floor[i];

		if (addr_pfn(obj) >= max_pfn || page_cpu_off(virt_to_page(obj)) != CPU_OFF(s->id) ||
		    slab_index(s, obj_slab(obj), obj) < 0)
			differ("magazine holds what is no object", (u64)obj, cpu, s->id);
		else if (mark_get(obj, s->offset) != free_mark)
			differ("object in a magazine is not marked", (u64)obj, mark_get(obj, s->offset), free_mark);
		for (u64 k = 0; k < i; k++)
			if (c->floor[k] == obj)
				differ("object twice in a magazine", (u64)obj, 2, 1);
	}
	if (n > s->limit)
		differ("objects in a magazine", s->id, n, s->limit);
}

static void check_cache(const struct kmem_cache *s, const struct walk *w)
{
	u64 slabs = 0, listed = 0, counted = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
		slabs += per_cpu_ptr(cache_cpu[s->id], c)->slabs;
		check_magazine(s, c);
		check_moves(s->id, c);
	}
	for (int nid = 0; nid < (int)num_nodes(); nid++) {
		listed += check_stack(s, s->partial[nid].stack[0], nid) + check_stack(s, s->partial[nid].stack[1], nid);
		counted += s->partial[nid].nr;
	}
	if (slabs != w->slabs[s->id])
		differ(s->name, s->id, slabs, w->slabs[s->id]);
	if (listed != w->listed[s->id])
		differ("slabs on stacks, and that say so", s->id, listed, w->listed[s->id]);
	if (counted != listed)
		differ("count of slabs on stacks", s->id, counted, listed);
}

/* --------------------------------------------------------------- free map */

/* What is free has its hints. */
static void check_hints(u64 line)
{
	bool any = false, word = false, whole = line_peek(line) == LINE_FREE;
	u64 first = line * LINE_WORDS;

	for (u64 w = first; w < first + LINE_WORDS; w++) {
		any |= word_peek(w) != 0;
		word |= word_peek(w) == WORD_FULL;
	}
	whole |= words_look_full(first, LINE_WORDS);
	if ((any && !hint_test(HINT_ANY, line)) || (word && !hint_test(HINT_WORD, line)) ||
	    (whole && !hint_test(HINT_LINE, line)))
		differ("hint missing for a line", line, any | word << 1 | whole << 2, 0);
}

static void check_word(u64 w)
{
	u64 pfn = w << WORD_SHIFT;

	for (u32 map = free_map_of(w); map; map >>= 1, pfn++)
		if (map & 1 && pfn_page(pfn)->type != PT_NONE)
			differ("free page has a type", pfn, pfn_page(pfn)->type, PT_NONE);
}

static void check_map(void)
{
	for (u64 w = 0; w < nr_lines * LINE_WORDS; w++)
		check_word(w);
	for (u64 line = 0; line < nr_lines; line++)
		check_hints(line);
	if (hint_busy())
		differ("calls between map and hint", 0, 1, 0);
}

static u64 counted(enum page_type type)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		n += per_cpu_ptr(page_cpu, c)->allocated[type];
	return n;
}

static void check_counts(const struct walk *w)
{
	static const char *const names[NR_PAGE_TYPES] = { "", "pages in blocks", "pages in kmalloc blocks",
							  "pages in slabs", "pages in paid blocks", "pages in paid kmalloc blocks" };
	u64 used = 0;

	for (unsigned int t = PT_BLOCK; t < NR_PAGE_TYPES; t++) {
		used += w->pages[t];
		if (counted((enum page_type)t) != w->pages[t])
			differ(names[t], t, counted((enum page_type)t), w->pages[t]);
	}
	if (nr_free_pages() != w->free + w->private)
		differ("pages free", 0, nr_free_pages(), w->free + w->private);
	if (managed_pages != w->free + w->private + used)
		differ("pages managed", 0, managed_pages, w->free + w->private + used);
}

unsigned int mm_check(void)
{
	static struct walk w;

	differences = 0;
	walk_all(&w, check_slab);
	check_map();
	check_counts(&w);
	memcg_check(differ);
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		check_moves(MOVING_ANY, c);
	for (u32 i = 1; i < MAX_CACHES; i++)
		if (caches[i].live)
			check_cache(&caches[i], &w);
		else if (w.slabs[i])
			differ("slabs of a dead cache", i, w.slabs[i], 0);
	return differences;
}
