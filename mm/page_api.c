/*
 * page_api.c - the public calls of gfp.h: arguments checked, references counted.
 *
 * A bad call is reported and has no effect (report.c). All functions: any
 * context; the forms without _nolock differ only in that they may wait for other
 * CPUs to give back what they cache.
 */
#include "lib/string.h"
#include "mm/memcg.h"
#include "mm/page_fast.h"
#include <anyctx/smp.h>

/* -------------------------------------------------------------- allocation */

static __noinline bool bad_alloc_args(const char *call, gfp_t gfp, int nid, unsigned int order)
{
	if (order > MAX_ORDER)
		mm_report(call, NULL, "order %u is out of range (0 to %d)", order, MAX_ORDER);
	else if (gfp & ~GFP_VALID_MASK)
		mm_report(call, NULL, "unknown gfp flags 0x%x", gfp & ~GFP_VALID_MASK);
	else if (nid != NUMA_NO_NODE && (nid < 0 || nid >= (int)num_nodes()))
		mm_report(call, NULL, "node %d is out of range (0 to %u)", nid, num_nodes() - 1);
	else
		return false;
	return true;
}

static __noinline struct page *alloc_uncommon(const char *call, gfp_t gfp, int nid, unsigned int order,
					      u32 refcount)
{
	struct page *page;

	if (bad_alloc_args(call, gfp, nid, order))
		return NULL;
	page = memcg_block_alloc(gfp, nid, order, refcount, PT_BLOCK);
	if (page && gfp & __GFP_ZERO)
		memset(page_address(page), 0, PAGE_SIZE << order);
	return page;
}

/* The order is a constant in each branch, so that the masks are. */
static __always_inline struct page *alloc_plain(unsigned int order, u32 refcount)
{
	switch (order) {
	case 1:
		return private_page(1, refcount, PT_BLOCK);
	case 2:
		return private_page(2, refcount, PT_BLOCK);
	case 3:
		return private_page(3, refcount, PT_BLOCK);
	case 4:
		return private_page(4, refcount, PT_BLOCK);
	case 5:
		return private_page(5, refcount, PT_BLOCK);
	case LINE_SHIFT:
		return line_page(refcount, PT_BLOCK);
	default:
		return NULL;
	}
}

/* mask: flags that the long way may follow. */
static __always_inline struct page *alloc_checked(const char *call, gfp_t gfp, int nid, unsigned int order,
						  u32 refcount, gfp_t mask)
{
	struct page *page = NULL;

	if (likely(!((gfp | ((u32)nid + 1)) & ~GFP_PLAIN)))
		page = likely(!order) ? private_page(0, refcount, PT_BLOCK) : alloc_plain(order, refcount);
	return likely(page) ? page : alloc_uncommon(call, gfp & mask, nid, order, refcount);
}

struct page *alloc_pages(gfp_t gfp, unsigned int order)
{
	return alloc_checked("alloc_pages", gfp, NUMA_NO_NODE, order, 1, ~0u);
}

struct page *alloc_pages_node(int nid, gfp_t gfp, unsigned int order)
{
	return alloc_checked("alloc_pages_node", gfp, nid, order, 1, ~0u);
}

struct page *alloc_pages_nolock(gfp_t gfp, int nid, unsigned int order)
{
	return alloc_checked("alloc_pages_nolock", gfp, nid, order, 1, ~__GFP_RECLAIM);
}

struct page *alloc_frozen_pages_nolock(gfp_t gfp, int nid, unsigned int order)
{
	return alloc_checked("alloc_frozen_pages_nolock", gfp, nid, order, 0, ~__GFP_RECLAIM);
}

/* ----------------------------------------------------------------- freeing */

/* Is page no descriptor of managed memory at all? */
static bool bad_descriptor(const struct page *page)
{
	return descriptor_pfn(page) >= max_pfn;
}

static __noinline void report_block(const char *call, struct page *page, unsigned int order)
{
	const void *addr = page_address(page);

	if (order > MAX_ORDER)
		mm_report(call, addr, "order %u is out of range (0 to %d)", order, MAX_ORDER);
	else if (page->type == PT_NONE)
		mm_report(call, addr, "order %u: not the head of an allocated block (double free, or the middle of one)",
			  order);
	else if (page->type == PT_SLAB)
		mm_report(call, addr, "order %u: a page of slab cache %s", order,
			  cache_at(page_cpu_off(page))->name);
	else
		mm_report(call, addr, "order %u: the block was allocated with order %u", order, page->order);
}

/* Check a block that is to be freed; true if it is one of this order. */
static bool good_block(const char *call, struct page *page, unsigned int order)
{
	u8 type;

	if (unlikely(bad_descriptor(page))) {
		mm_report(call, page, "not a page descriptor");
		return false;
	}
	type = READ_ONCE(page->type);
	if (likely(is_any_block(type) && page->order == order))
		return true;
	report_block(call, page, order);
	return false;
}

/* Drop a reference; true: it was the last. The only holder needs no lock. */
static bool ref_drop(const char *call, struct page *page)
{
	u32 n = __atomic_load_n(&page->refcount, __ATOMIC_ACQUIRE);

	if (likely(n == 1))
		return true;
	while (n)
		if (__atomic_compare_exchange_n(&page->refcount, &n, n - 1, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return n == 1;
	mm_report(call, page_address(page), "reference count is 0 (a frozen block, or freed twice)");
	return false;
}

static void free_any_block(struct page *page, unsigned int order)
{
	enum page_type type = (enum page_type)page->type;

	if (is_paid((u8)type))
		memcg_block_freed(page, order);
	page_free_block(page, order, type);
}

static __noinline void free_uncommon_block(const char *call, struct page *page, unsigned int order)
{
	if (!page)
		return;
	if (good_block(call, page, order) && ref_drop(call, page))
		free_any_block(page, order);
}

/* Plain: a block from alloc_pages with the only reference, and a private word
 * that takes it. */
static __always_inline void free_plain(const char *call, struct page *page, unsigned int order)
{
	u64 pfn = descriptor_pfn(page);

	if (unlikely(pfn >= max_pfn || READ_ONCE(page->kind) != block_kind(PT_BLOCK, order, 1))) {
		free_uncommon_block(call, page, order);
		return;
	}
	page_given(page, order, PT_BLOCK);
	if (unlikely(private_put(pfn, order) != PUT_DONE)) {
		this_cpu_add64(page_cpu.allocated[PT_BLOCK], 1UL << order);
		page_free_block(page, order, PT_BLOCK);
		return;
	}
	if (unlikely(mm_tight))
		page_freed_tight();
}

static __noinline void free_line(const char *call, struct page *page)
{
	u64 pfn = descriptor_pfn(page);

	if (unlikely(pfn >= max_pfn || READ_ONCE(page->kind) != block_kind(PT_BLOCK, LINE_SHIFT, 1) ||
		     mm_tight)) {
		free_uncommon_block(call, page, LINE_SHIFT);
		return;
	}
	page_given(page, LINE_SHIFT, PT_BLOCK);
	line_page_give(pfn, PT_BLOCK);
}

static __always_inline void free_checked(const char *call, struct page *page, unsigned int order)
{
	if (likely(!order)) {
		free_plain(call, page, 0);
		return;
	}
	switch (order) {
	case 1:
		free_plain(call, page, 1);
		return;
	case 2:
		free_plain(call, page, 2);
		return;
	case 3:
		free_plain(call, page, 3);
		return;
	case 4:
		free_plain(call, page, 4);
		return;
	case 5:
		free_plain(call, page, 5);
		return;
	case LINE_SHIFT:
		free_line(call, page);
		return;
	default:
		free_uncommon_block(call, page, order);
	}
}

void page_free_checked(const char *call, struct page *page, unsigned int order)
{
	free_uncommon_block(call, page, order);
}

void free_pages(struct page *page, unsigned int order)
{
	free_checked("free_pages", page, order);
}

void free_pages_nolock(struct page *page, unsigned int order)
{
	free_checked("free_pages_nolock", page, order);
}

void free_frozen_pages(struct page *page, unsigned int order)
{
	if (!page || !good_block("free_frozen_pages", page, order))
		return;
	if (READ_ONCE(page->refcount)) {
		mm_report("free_frozen_pages", page_address(page), "reference count is %u, not 0",
			  page->refcount);
		return;
	}
	free_any_block(page, order);
}

/* -------------------------------------------------------------- references */

void get_page(struct page *page)
{
	if (bad_descriptor(page) || !is_block(READ_ONCE(page->type)) || !READ_ONCE(page->refcount)) {
		mm_report("get_page", page, "not the head of an allocated block with references");
		return;
	}
	__atomic_fetch_add(&page->refcount, 1, __ATOMIC_ACQ_REL);
}

void put_page(struct page *page)
{
	if (bad_descriptor(page)) {
		mm_report("put_page", page, "not a page descriptor");
		return;
	}
	free_checked("put_page", page, READ_ONCE(page->order));
}

unsigned int page_ref_count(const struct page *page)
{
	return __atomic_load_n(&page->refcount, __ATOMIC_ACQUIRE);
}

/* ------------------------------------------------------------------ counts */

/* A search that comes into a new line of pages counts them all: no loop. */
static u64 allocated_on(unsigned int cpu)
{
	const struct page_cpu *pc = per_cpu_ptr(page_cpu, cpu);
	u64 n = 0;

#pragma GCC unroll 8
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		n += READ_ONCE(pc->allocated[t]);
	return n;
}

u64 nr_free_pages(void)
{
	unsigned int cpus = num_possible_cpus();
	u64 n = 0;

	for (unsigned int c = 0; c < cpus; c++)
		n += allocated_on(c);
	return managed_pages - n;
}

u64 nr_managed_pages(void)
{
	return managed_pages;
}
