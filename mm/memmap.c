/*
 * memmap.c - the descriptors of all pages, and the free map, at boot.
 *
 * Descriptors are an array in frame order at vmemmap, 24 bytes each, and 2 bytes more at
 * FRAME_CACHE_BASE. The
 * descriptors of one line (512 pages) fill exactly three pages, so each line is
 * backed or not by itself: lines without memory share one read-only page of
 * zeros, which says PT_NONE. So the descriptor of any frame below max_pfn can
 * be read by anyone, whatever pointer it came from.
 *
 * Runs once, on CPU 0, before there is any other CPU.
 */
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "mm/early.h"
#include "mm/internal.h"
#include <arch/paging.h>

u64 max_pfn, nr_lines, managed_pages;
u64 *free_words;
s8 *line_node;

/* Three whole pages of descriptors for a line: see above. */
_Static_assert(LINE_PAGES * sizeof(struct page) == 3 * PAGE_SIZE, "descriptor size");

#define BIG_PAGE (2UL << 20)
#define MIN_MEMORY_PAGES 2048 /* 8 MiB: below, a kernel of 64 CPUs cannot run */

static void *early_array(u64 bytes)
{
	return phys_to_virt(early_alloc(bytes, PAGE_SIZE));
}

static void find_extent(void)
{
	for (unsigned int i = 0; i < nr_mem_ranges; i++) {
		u64 end = (mem_ranges[i].base + mem_ranges[i].size) >> PAGE_SHIFT;

		if (end > max_pfn)
			max_pfn = end;
	}
	nr_lines = (max_pfn + LINE_PAGES - 1) >> LINE_SHIFT;
	nr_lines = (nr_lines + 1) & ~1UL; /* order 10 spans two */
}

static void find_line_nodes(void)
{
	line_node = early_array(nr_lines);
	for (u64 l = 0; l < nr_lines; l++)
		line_node[l] = -1;
	for (unsigned int i = 0; i < nr_mem_ranges; i++) {
		u64 first = mem_ranges[i].base >> (PAGE_SHIFT + LINE_SHIFT);
		u64 last = (mem_ranges[i].base + mem_ranges[i].size - 1) >>
			   (PAGE_SHIFT + LINE_SHIFT);

		for (u64 l = first; l <= last; l++)
			line_node[l] = (s8)mem_ranges[i].node;
	}
}

/* Does the 4 KiB of descriptors at offset off describe memory? */
static bool descriptors_needed(u64 off)
{
	u64 line = off / (LINE_PAGES * sizeof(struct page));

	return line < nr_lines && line_node[line] >= 0;
}

static bool big_page_needed(u64 off)
{
	for (u64 o = off; o < off + BIG_PAGE; o += PAGE_SIZE)
		if (!descriptors_needed(o))
			return false;
	return true;
}

static void map_descriptors(u64 zeros)
{
	u64 size = nr_lines * LINE_PAGES * sizeof(struct page);
	u64 off = 0;

	while (off < size) {
		if (!(off & (BIG_PAGE - 1)) && big_page_needed(off)) {
			arch_map_2m((u64)vmemmap + off, early_alloc(BIG_PAGE, BIG_PAGE), PROT_W);
			off += BIG_PAGE;
			continue;
		}
		if (descriptors_needed(off))
			arch_map_4k((u64)vmemmap + off, early_alloc(PAGE_SIZE, PAGE_SIZE), PROT_W);
		else
			arch_map_4k((u64)vmemmap + off, zeros, PROT_R);
		off += PAGE_SIZE;
	}
}

/* 4 KiB of those are of four lines. */
#define FRAME_CACHE_LINES (PAGE_SIZE / sizeof(u16) / LINE_PAGES)
static void map_frame_caches(u64 zeros)
{
	for (u64 l = 0; l < nr_lines; l += FRAME_CACHE_LINES) {
		u64 va = (u64)frame_cache(l << LINE_SHIFT);
		bool needed = false;

		for (u64 i = l; i < l + FRAME_CACHE_LINES && i < nr_lines; i++)
			needed |= line_node[i] >= 0;
		if (needed)
			arch_map_4k(va, early_alloc(PAGE_SIZE, PAGE_SIZE), PROT_W);
		else
			arch_map_4k(va, zeros, PROT_R);
	}
}

/* The pages [first, end) of one line are free from now on. */
static void free_in_line(u64 first, u64 end)
{
	if (end - first == LINE_PAGES) {
		line_init_free(first >> LINE_SHIFT);
		return;
	}
	for (u64 pfn = first; pfn < end; pfn++)
		word_give(pfn >> WORD_SHIFT, 1u << (pfn & (WORD_PAGES - 1)));
}

static void free_range(u64 first, u64 end)
{
	managed_pages += end - first;
	sanitize_free(pfn_addr(first), (end - first) << PAGE_SHIFT);
	while (first < end) {
		u64 next = (first | (LINE_PAGES - 1)) + 1;

		if (next > end)
			next = end;
		free_in_line(first, next);
		first = next;
	}
}

void memmap_init(void)
{
	u64 zeros;

	early_set_limit(DIRECT_MAP_MAX);
	find_extent();
	find_line_nodes();
	free_words = early_array(nr_lines * LINE_WORDS * sizeof(u64));
	line_words = early_array(nr_lines * sizeof(u64)); /* 0: split, and no page free */
	for (unsigned int h = 0; h < NR_HINTS; h++)
		hints[h] = early_array((nr_lines + 63) / 64 * sizeof(u64));
	zeros = early_alloc(PAGE_SIZE, PAGE_SIZE);
	map_descriptors(zeros);
	map_frame_caches(zeros);
	if (CONFIG_KASAN)
		kasan_tracks_init();
	/* No early_alloc from here on: all that is left goes to the page layer. */
	for (unsigned int i = 0; i < nr_mem_ranges; i++)
		free_range(mem_ranges[i].base >> PAGE_SHIFT,
			   (mem_ranges[i].base + mem_ranges[i].size) >> PAGE_SHIFT);
	if (managed_pages < MIN_MEMORY_PAGES)
		panic("only %lu KiB of memory left after boot, %lu needed. Give the machine more (MEM=).",
		      managed_pages << 2, (u64)MIN_MEMORY_PAGES << 2);
}

void *page_address(const struct page *page)
{
	return pfn_addr(page_pfn(page));
}

struct page *virt_to_page(const void *addr)
{
	u64 pfn = addr_pfn(addr);

	return pfn < max_pfn ? pfn_page(pfn) : NULL;
}

u64 page_to_pfn(const struct page *page)
{
	return page_pfn(page);
}

struct page *pfn_to_page(u64 pfn)
{
	return pfn < max_pfn ? pfn_page(pfn) : NULL;
}

int page_to_nid(const struct page *page)
{
	return line_node[page_pfn(page) >> LINE_SHIFT];
}
