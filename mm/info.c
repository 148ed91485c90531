/*
 * info.c - telling the allocator's state: the counters, and the views of the
 * shell and the panic. They only read, and on a busy machine may be off by what is
 * under way. Any context.
 */
#include "kernel/printk.h"
#include "lib/bits.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include <anyctx/smp.h>

u32 free_map_of(u64 w)
{
	return line_peek(w / LINE_WORDS) == LINE_FREE ? (u32)WORD_FULL : word_peek(w);
}

bool page_is_free(u64 pfn)
{
	return free_map_of(pfn >> WORD_SHIFT) >> (pfn & (WORD_PAGES - 1)) & 1;
}

static void walk_slab(struct walk *w, const struct page *head)
{
	u64 id = page_cpu_off(head) / sizeof(struct cache_cpu);
	u64 st = READ_ONCE(head->state);

	w->slabs[id]++;
	w->objects[id] += slab_objects(&caches[id], head->order);
	w->idle[id] += ST_FREE(st);
	w->listed[id] += !!(st & ST_ONLIST);
}

void walk_all(struct walk *w, void (*each)(struct page *head))
{
	*w = (struct walk){ 0 };
	for (u64 word = 0; word < nr_lines * LINE_WORDS; word++)
		w->free += popcount32(free_map_of(word));
	for (u64 pfn = 0; pfn < max_pfn; pfn++) {
		struct page *page = pfn_page(pfn);
		u8 type = READ_ONCE(page->type);

		if (type == PT_NONE || type >= NR_PAGE_TYPES || (type == PT_SLAB && page->tail))
			continue;
		w->pages[type] += 1UL << page->order;
		if (type == PT_SLAB) {
			walk_slab(w, page);
			if (each)
				each(page);
		}
	}
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		w->private += page_private(c);
}

static u64 pages_of(enum page_type type)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		n += READ_ONCE(per_cpu_ptr(page_cpu, c)->allocated[type]);
	return n;
}

void mm_get_stats(struct mm_stats *st)
{
	*st = (struct mm_stats){ .pages_managed = managed_pages, .pages_free = nr_free_pages(),
				 .slab_pages = pages_of(PT_SLAB), .large_pages = pages_of(PT_LARGE) + pages_of(PT_LARGE_PAID),
				 .block_pages = pages_of(PT_BLOCK) + pages_of(PT_BLOCK_PAID) };
	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
		st->deferred += READ_ONCE(per_cpu_ptr(defer_counts, c)->queued);
		st->deferred_served += READ_ONCE(per_cpu_ptr(defer_counts, c)->served);
		st->failures += READ_ONCE(per_cpu_ptr(mm_fail_counts, c)->failures);
		st->spurious_failures += READ_ONCE(per_cpu_ptr(mm_fail_counts, c)->spurious);
	}
}

/* Whoever has counted itself, or opened a slot, ends that on the same CPU. */
bool mm_may_preempt(void)
{
	return !hint_open_here() && !hand_open_here();
}

u64 mm_spurious_here(void)
{
	return this_cpu_read64(mm_fail_counts.spurious);
}

/* The linker puts all of mm/ there (linker.ld, arch/hosted/mm_text.ld). */
bool mm_in_text(u64 pc)
{
	extern const char __mm_text_start[], __mm_text_end[];

	return pc - (u64)__mm_text_start < (u64)(__mm_text_end - __mm_text_start);
}

/* ------------------------------------------------------------------ views */

u64 page_private(unsigned int cpu)
{
	u64 n = 0;

	for (unsigned int i = 0; i < NR_PRIVATE; i++)
		n += popcount32((u32)READ_ONCE(per_cpu_ptr(page_cpu, cpu)->private[i]));
	return n;
}

static u64 private_pages(void)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		n += page_private(c);
	return n;
}

/* From counters only: a panic may come while the rest is in any state. */
void mm_print_meminfo(void)
{
	struct mm_stats st;

	mm_get_stats(&st);
	printk("memory: %lu pages managed (%lu MiB), %lu free, %lu of them private to a CPU%s\n",
	       st.pages_managed, st.pages_managed >> (20 - PAGE_SHIFT), st.pages_free, private_pages(),
	       mm_tight ? ", TIGHT" : "");
	printk("  pages in slabs %lu, in kmalloc blocks %lu, in page blocks %lu\n", st.slab_pages, st.large_pages,
	       st.block_pages);
	printk("  frees deferred %lu, served %lu; failures %lu, while memory was free %lu; bad calls %lu\n",
	       st.deferred, st.deferred_served, st.failures, st.spurious_failures, mm_reports());
}

static u64 cached_objects(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		n += magazine_count(s, c);
	return n;
}

static u64 held_back(const struct kmem_cache *s)
{
	return CONFIG_KASAN ? kasan_quarantine_count(s) : 0;
}

void mm_print_slabinfo(void)
{
	static struct walk w;

	walk_all(&w, NULL);
	printk("%-28s %6s %6s %8s %8s %8s %8s\n", "cache", "size", "order", "slabs", "objects", "in use", "cached");
	for (u32 i = 1; i < MAX_CACHES; i++) {
		const struct kmem_cache *s = &caches[i];
		u64 cached;

		if (!s->live)
			continue;
		cached = cached_objects(s);
		printk("%-28s %6u %6u %8lu %8lu %8ld %8lu\n", s->name, s->size, s->order, w.slabs[i], w.objects[i],
		       (long)(w.objects[i] - w.idle[i] - cached - held_back(s)), cached);
	}
}

/* The order of the largest aligned free block that begins at this free page. */
static unsigned int block_order(u64 pfn)
{
	unsigned int k = 0;

	for (; k < MAX_ORDER && !(pfn & ((2UL << k) - 1)); k++)
		for (u64 p = pfn + (1UL << k); p < pfn + (2UL << k); p++)
			if (p >= max_pfn || !page_is_free(p))
				return k;
	return k;
}

/* Free blocks as the buddy sees them: each page counted in its largest block. */
static void count_blocks(int nid, u64 *count)
{
	u64 pfn = 0;

	while (pfn < max_pfn) {
		unsigned int k = 0;

		if (line_node[pfn >> LINE_SHIFT] == nid && page_is_free(pfn)) {
			k = block_order(pfn);
			count[k]++;
		}
		pfn += 1UL << k;
	}
}

void mm_print_buddyinfo(void)
{
	printk("%-8s %6s %6s %6s %6s %6s %6s %6s %6s %6s %6s %6s\n", "free", "4K", "8K", "16K", "32K", "64K", "128K",
	       "256K", "512K", "1M", "2M", "4M");
	for (int nid = 0; nid < (int)num_nodes(); nid++) {
		u64 n[NR_ORDERS] = { 0 };

		count_blocks(nid, n);
		printk("node %-3d %6lu %6lu %6lu %6lu %6lu %6lu %6lu %6lu %6lu %6lu %6lu\n", nid, n[0], n[1], n[2], n[3],
		       n[4], n[5], n[6], n[7], n[8], n[9], n[10]);
	}
}
