/*
 * alloc_short.c - is there what a call wanted that got NULL?
 *
 * Answered from what the memory was at boot and what the descriptors say of it now: a page
 * that is neither in a block nor in a slab is free. Neither the free map, nor hints, nor
 * counters, which is what the allocator itself goes by. What another CPU keeps for itself
 * does not count: it may be late to give it back. Reads only, any context.
 */
#include "fuzz/alloc.h"
#include "mm/internal.h"
#include <anyctx/smp.h>
#include <string.h>

#define PAGES (ALLOC_MEM >> PAGE_SHIFT)
/* What the interrupted call may have in its hands, and not yet said so: a block of the
 * largest order, and two words of pages that go back. */
#define IN_HANDS ((1UL << MAX_ORDER) + 2 * WORD_PAGES)

static u8 managed[PAGES]; /* 1: it is */

void short_first(void)
{
	for (unsigned int i = 0; i < nr_mem_ranges; i++)
		for (u64 pfn = mem_ranges[i].base >> PAGE_SHIFT;
		     pfn < (mem_ranges[i].base + mem_ranges[i].size) >> PAGE_SHIFT; pfn++)
			managed[pfn] = 1;
}

static void drop_private(u8 *is_free, unsigned int cpu)
{
	for (unsigned int i = 0; i < NR_PRIVATE; i++) {
		u64 v = READ_ONCE(per_cpu_ptr(page_cpu, cpu)->private[i]), first = (v >> 32) * WORD_PAGES;

		for (u64 bit = 0; bit < WORD_PAGES; bit++)
			if (v >> bit & 1 && first + bit < PAGES)
				is_free[first + bit] = 0;
	}
}

static void find_free(u8 *is_free)
{
	memcpy(is_free, managed, PAGES);
	for (u64 pfn = 0; pfn < PAGES; pfn++) {
		const struct page *page = pfn_page(pfn);

		if (!managed[pfn] || page->type == PT_NONE)
			continue;
		if (page->type == PT_SLAB)
			is_free[pfn] = 0;
		else
			memset(is_free + pfn, 0, 1UL << page->order);
	}
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		if (cpu != smp_processor_id())
			drop_private(is_free, cpu);
}

/* Free blocks of that order, in pages. */
static u64 free_of_order(const u8 *is_free, unsigned int order, int nid)
{
	u64 n = 0, size = 1UL << order;

	for (u64 pfn = 0; pfn < PAGES; pfn += size)
		if (!memchr(is_free + pfn, 0, size) && (nid < 0 || page_to_nid(pfn_page(pfn)) == nid))
			n += size;
	return n;
}

static bool object_in_slab(const struct kmem_cache *s, int nid)
{
	for (u64 pfn = 0; pfn < PAGES; pfn++) {
		const struct page *page = pfn_page(pfn);

		if (managed[pfn] && page->type == PT_SLAB && !page->tail && page_cpu_off(page) == CPU_OFF(s->id) &&
		    ST_FREE(page->state) && (nid < 0 || page_to_nid(page) == nid))
			return true;
	}
	return false;
}

bool memory_is_there(unsigned int order, const struct kmem_cache *s, int nid)
{
	u8 is_free[PAGES];

	find_free(is_free);
	if (free_of_order(is_free, order, nid) > (is_nested ? IN_HANDS : 0))
		return true;
	return s && !is_nested && object_in_slab(s, nid);
}
