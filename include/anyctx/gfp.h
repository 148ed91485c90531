/*
 * gfp.h - whole pages: allocation and freeing of 2^order pages, order 0 to 10.
 *
 * Contexts. The calls ending in _nolock may be made at any instruction, in any
 * context: thread, interrupt, NMI, and a breakpoint that hit inside these very
 * calls. The others may be made from thread and hard interrupt context; they
 * differ only in that they may wait a bounded time for other CPUs to give back
 * what they cache before they say that memory is exhausted. free_frozen_pages,
 * reference counting, and what only looks: any context.
 *
 * Failure. NULL means that no free block of that order was left in the memory
 * that the call may use; an order above MAX_ORDER or an unknown flag is
 * reported and gives NULL. Nothing is lost by a failed call.
 *
 * A bad free (wrong order, free page, middle of a block, not memory at all) is
 * reported with call, pointer and CPU, and ignored; see docs/design.md.
 */
#ifndef ANYCTX_GFP_H
#define ANYCTX_GFP_H

#include <anyctx/types.h>

#define MAX_ORDER 10
#define NR_ORDERS (MAX_ORDER + 1)

typedef u32 gfp_t;

#define __GFP_ZERO (1u << 0)     /* contents are zero */
#define __GFP_THISNODE (1u << 24) /* from the node asked for, or not at all */
#define __GFP_NOWARN (1u << 25)   /* a failure is not worth a report */
#define __GFP_HIGH (1u << 26)     /* accepted; anyctx keeps no reserves */
#define __GFP_RECLAIM (1u << 27)  /* may wait for other CPUs' caches */
#define __GFP_ACCOUNT (1u << 28)  /* the active group pays for it, if there is one: memcg.h */
#define GFP_VALID_MASK (__GFP_ZERO | 0x1fu << 24)
/* Flags that make no difference where memory is at hand; above any node number,
 * so that one test is enough for flags and node. */
#define GFP_PLAIN (__GFP_THISNODE | __GFP_NOWARN | __GFP_HIGH | __GFP_RECLAIM)

#define GFP_KERNEL __GFP_RECLAIM
#define GFP_ATOMIC __GFP_HIGH
#define GFP_NOWAIT 0u
#define GFP_KERNEL_ACCOUNT (GFP_KERNEL | __GFP_ACCOUNT)

struct page;

/* 2^order pages, naturally aligned, reference count 1; NULL if there are none. */
struct page *alloc_pages(gfp_t gfp, unsigned int order);
/* The same from node nid (NUMA_NO_NODE: the nearest first). */
struct page *alloc_pages_node(int nid, gfp_t gfp, unsigned int order);
/* The same from any context. */
struct page *alloc_pages_nolock(gfp_t gfp, int nid, unsigned int order);
/* The same with reference count 0: for a layer that keeps no count (the slab). */
struct page *alloc_frozen_pages_nolock(gfp_t gfp, int nid, unsigned int order);

/*
 * Drop the reference that the allocation gave; the last one frees. order must
 * be the one that was allocated. NULL is ignored. Either takes any block.
 */
void free_pages(struct page *page, unsigned int order);
void free_pages_nolock(struct page *page, unsigned int order);
/* Free a block whose count is 0 (from alloc_frozen_pages_nolock). */
void free_frozen_pages(struct page *page, unsigned int order);

/* Reference counting of an allocated, not frozen block; head page only. */
void get_page(struct page *page);
void put_page(struct page *page);
unsigned int page_ref_count(const struct page *page);

/*
 * Between a page descriptor, its address and its frame number; any context. From an
 * address or number that is not of managed memory: NULL. page must be a descriptor.
 */
void *page_address(const struct page *page);
struct page *virt_to_page(const void *addr);
u64 page_to_pfn(const struct page *page);
struct page *pfn_to_page(u64 pfn);
/* The NUMA node of a page. */
int page_to_nid(const struct page *page);

/* Free pages and all pages that the page layer manages; exact at rest. */
u64 nr_free_pages(void);
u64 nr_managed_pages(void);

#endif
