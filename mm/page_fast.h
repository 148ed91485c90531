/*
 * page_fast.h - the short ways of the page layer: a block of up to 32 pages out of
 * this CPU's private pages, and back. No locked instruction, interrupts as they
 * are. What does not work out here goes the long way (page.c).
 */
#ifndef MM_PAGE_FAST_H
#define MM_PAGE_FAST_H

#include "mm/internal.h"

static __always_inline u64 *private_word(unsigned int order)
{
	return &page_cpu.private[order != 0];
}

/* A block has been taken: its descriptor says so, and it is counted. */
static __always_inline struct page *page_taken(u64 pfn, unsigned int order, u32 refcount, enum page_type type)
{
	struct page *page = pfn_page(pfn);

	this_cpu_add64(page_cpu.allocated[type], 1UL << order);
	WRITE_ONCE(page->kind, block_kind(type, order, refcount));
	sanitize_alloc(pfn_addr(pfn), PAGE_SIZE << order, false);
	if (CONFIG_KASAN)
		kasan_block_taken(pfn, order);
	if (type != PT_SLAB) /* its objects are zeroed one by one */
		init_taken(pfn_addr(pfn), PAGE_SIZE << order);
	return page;
}

/* Before a block is given back: then the descriptor is another's. */
static __always_inline void page_given(struct page *page, unsigned int order, enum page_type type)
{
	init_given(pfn_addr(page_pfn(page)), PAGE_SIZE << order);
	sanitize_free(pfn_addr(page_pfn(page)), PAGE_SIZE << order);
	if (CONFIG_KASAN)
		kasan_block_given(page_pfn(page), order);
	WRITE_ONCE(page->kind, 0);
	this_cpu_add64(page_cpu.allocated[type], -(1UL << order));
}

/* Out of that private word. */
static __always_inline struct page *private_take(u64 *private, unsigned int order, u32 refcount, enum page_type type)
{
	u64 v = this_cpu_read64(*private), taken;
	int bit;

	if (CONFIG_TINY)
		return NULL;
	do {
		if (!(u32)v)
			return NULL;
		bit = order ? find_run((u32)v, order) : __builtin_ctz((u32)v);
		if (bit < 0)
			return NULL;
		taken = order ? (u64)run_mask(order) << bit : v & -v;
	} while (unlikely(!this_cpu_cmpxchg64(private, &v, v & ~taken)));
	return page_taken((v >> 32 << WORD_SHIFT) | (u32)bit, order, refcount, type);
}

static __always_inline struct page *private_page(unsigned int order, u32 refcount, enum page_type type)
{
	return private_take(private_word(order), order, refcount, type);
}

enum put { PUT_DONE, PUT_ELSEWHERE, PUT_TWICE };

/* Into the private word, if it is this block's word or has nothing in it. */
static __always_inline enum put private_put(u64 pfn, unsigned int order)
{
	u64 *private = private_word(order), v = this_cpu_read64(*private), new;
	u64 bits = (u64)run_mask(order) << (pfn & (WORD_PAGES - 1)), w = pfn >> WORD_SHIFT;

	if (CONFIG_TINY)
		return PUT_ELSEWHERE;
	do {
		if (likely(v >> 32 == w)) {
			if (unlikely(v & bits))
				return PUT_TWICE;
			new = v | bits;
		} else if (!(u32)v && line_node[pfn >> LINE_SHIFT] == (s8)this_cpu_read64(page_cpu.home_node)) {
			new = w << 32 | bits;
		} else {
			return PUT_ELSEWHERE;
		}
	} while (unlikely(!this_cpu_cmpxchg64(private, &v, new)));
	return PUT_DONE;
}

/* The line that this CPU has just given back is the likeliest to be free. */
static __always_inline struct page *line_page(u32 refcount, enum page_type type)
{
	u64 line = this_cpu_read64(page_cpu.line_given), l = load(&line_words[line]);

	if (unlikely((l & 3) != LINE_FREE || !cas(&line_words[line], l, (l & ~3UL) | LINE_TAKEN)))
		return NULL;
	return page_taken(line << LINE_SHIFT, LINE_SHIFT, refcount, type);
}

/* The frame number of a descriptor; at least max_pfn if it is none. One
 * multiplication by the inverse of 3: 24 bytes each, and what is no multiple of
 * that comes out large. */
static __always_inline u64 descriptor_pfn(const struct page *page)
{
	u64 off = (u64)page - (u64)vmemmap;

	return (off >> 3 | off << 61) * 0xaaaaaaaaaaaaaaabUL;
}

#endif
