/*
 * mempool.h - elements of which so many can always be had.
 *
 * A pool keeps min_nr elements in reserve. An allocation asks the pool's own function
 * first; what that refuses comes out of the reserve. A free fills the reserve first.
 * So as long as no more than min_nr elements are out, the next one is there, whatever
 * memory is left. No call waits for an element: NULL says that the function refused and
 * that the reserve is used up.
 *
 * Contexts. mempool_alloc and mempool_free: any, if the pool's functions may be called
 * there; those below may, and wait for other CPUs' caches only in threads, with
 * __GFP_RECLAIM. mempool_create and its forms, mempool_resize, mempool_destroy: thread,
 * interrupts on; they look whether it is so, else it is a panic that names the call.
 * Bad calls are reported as by slab.h, and do nothing.
 */
#ifndef ANYCTX_MEMPOOL_H
#define ANYCTX_MEMPOOL_H

#include <anyctx/slab.h>

typedef struct mempool mempool_t;
typedef void *(mempool_alloc_t)(gfp_t gfp, void *pool_data);
typedef void(mempool_free_t)(void *element, void *pool_data);

#define MEMPOOL_MAX (1 << 17) /* elements in reserve */

/* min_nr 1 to MEMPOOL_MAX. NULL: no memory for all of them, or a bad argument. */
mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc_fn, mempool_free_t *free_fn, void *pool_data);
/* The reserve is given back. 0; -EBUSY: elements are missing in it, so some are still out:
 * a report, and the pool goes on. NULL is 0. Nobody else may use the pool. */
int mempool_destroy(mempool_t *pool);
/*
 * Another size of the reserve, while others use the pool. 0; -ENOMEM: there is no memory
 * for more, nothing has changed; -EBUSY: another resize is under way; -EINVAL, a report.
 */
int mempool_resize(mempool_t *pool, int new_min_nr);

/* __GFP_ZERO is a bad call: what is in reserve is as its last user left it. */
void *mempool_alloc(mempool_t *pool, gfp_t gfp);
/* element: of this pool; NULL is ignored. One that lies in reserve is reported. */
void mempool_free(void *element, mempool_t *pool);
/* Elements in reserve; exact while nobody uses the pool. Any context, like the next. */
unsigned int mempool_in_reserve(const mempool_t *pool);
/* Is the reserve full? */
bool mempool_is_saturated(const mempool_t *pool);

/* Objects of a cache; blocks of kmalloc; blocks of pages, elements are struct page *. */
void *mempool_alloc_slab(gfp_t gfp, void *cache);
void mempool_free_slab(void *element, void *cache);
void *mempool_kmalloc(gfp_t gfp, void *size);
void mempool_kfree(void *element, void *size);
void *mempool_alloc_pages(gfp_t gfp, void *order);
void mempool_free_pages(void *element, void *order);

static inline mempool_t *mempool_create_slab_pool(int min_nr, struct kmem_cache *cache)
{
	return mempool_create(min_nr, mempool_alloc_slab, mempool_free_slab, cache);
}

static inline mempool_t *mempool_create_kmalloc_pool(int min_nr, size_t size)
{
	return mempool_create(min_nr, mempool_kmalloc, mempool_kfree, (void *)size);
}

static inline mempool_t *mempool_create_page_pool(int min_nr, int order)
{
	return mempool_create(min_nr, mempool_alloc_pages, mempool_free_pages, (void *)(u64)order);
}

#endif
