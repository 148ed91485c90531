/*
 * mempool.c - pools of elements, of which so many can always be had.
 *
 * The reserve is min_nr slots on two stacks, of full ones and of empty ones, by index;
 * a stack's head {tag, index + 1} changes by one compare-and-swap with a new tag. Who
 * has taken a slot off owns it until he puts it on the other stack.
 *
 * Invariant: full + empty + in the hands of a call = min_nr slots; a slot in a call's
 * hands stands for an element that the call has in its hands as well. So a free that
 * finds no empty slot knows of min_nr other elements, and may give its own away: the
 * elements in reserve and with users are never fewer than min_nr.
 *
 * Slots lie in chunks of 64, 128, 256 ..., which stay until the pool goes, so whoever
 * has read an old head may look at any slot at any time. Slots that a smaller reserve
 * does not need are kept by resize. A thread keeps its CPU while it has a slot, so no
 * other thread of that CPU waits for it in vain.
 *
 * create, destroy, resize: thread, interrupts on; everything else: any context, any CPU.
 */
#include "kernel/context.h"
#include "mm/internal.h"
#include <anyctx/mempool.h>
#include <arch/cpu.h>

#define FIRST_CHUNK 64u
#define NR_CHUNKS 12 /* 64 * (2^12 - 1) slots are enough for MEMPOOL_MAX */
#define NO_SLOT (~0u)

struct slot {
	void *element;
	u32 next; /* index + 1 of the one below; 0: none */
};

struct mempool {
	u64 full, empty;  /* stacks */
	u32 min_nr;
	u32 nr_slots;     /* in the chunks, used or spare; resize alone */
	u32 spare;        /* resize's own chain of slots, index + 1 */
	u32 resizing;
	mempool_alloc_t *alloc;
	mempool_free_t *free;
	void *data;
	struct slot *chunk[NR_CHUNKS];
};

/* ---------------------------------------------------------------- slots */

static unsigned int chunk_of(u32 index)
{
	return 31 - (unsigned int)__builtin_clz(index + FIRST_CHUNK) - (unsigned int)__builtin_ctz(FIRST_CHUNK);
}

static struct slot *slot_at(const struct mempool *pool, u32 index)
{
	unsigned int c = chunk_of(index);

	return &pool->chunk[c][index + FIRST_CHUNK - (FIRST_CHUNK << c)];
}

static void push(struct mempool *pool, u64 *stack, u32 index)
{
	struct slot *s = slot_at(pool, index);
	u64 old;

	do {
		old = load(stack);
		WRITE_ONCE(s->next, (u32)old);
	} while (!cas(stack, old, ((old >> 32) + 1) << 32 | (index + 1)));
}

static u32 pop(struct mempool *pool, u64 *stack)
{
	for (;;) {
		u64 old = load(stack);

		if (!(u32)old)
			return NO_SLOT;
		if (cas(stack, old, ((old >> 32) + 1) << 32 | READ_ONCE(slot_at(pool, (u32)old - 1)->next)))
			return (u32)old - 1;
	}
}

/* ------------------------------------------------------- the two calls */

static void *take(struct mempool *pool)
{
	void *element = NULL;
	u32 i;

	mm_begin();
	i = pop(pool, &pool->full);
	if (i != NO_SLOT) {
		element = slot_at(pool, i)->element;
		WRITE_ONCE(slot_at(pool, i)->element, NULL);
		push(pool, &pool->empty, i);
	}
	mm_end();
	return element;
}

static bool in_reserve(const struct mempool *pool, const void *element)
{
	for (u32 i = 0; i < __atomic_load_n(&pool->nr_slots, __ATOMIC_ACQUIRE); i++)
		if (READ_ONCE(slot_at(pool, i)->element) == element)
			return true;
	return false;
}

static bool keep(struct mempool *pool, void *element)
{
	u32 i;

	mm_begin();
	i = pop(pool, &pool->empty);
	if (i != NO_SLOT) {
		WRITE_ONCE(slot_at(pool, i)->element, element);
		push(pool, &pool->full, i);
	}
	mm_end();
	return i != NO_SLOT;
}

void *mempool_alloc(mempool_t *pool, gfp_t gfp)
{
	void *element;

	if (unlikely(gfp & __GFP_ZERO)) {
		mm_report("mempool_alloc", pool, "__GFP_ZERO: the reserve is not zeroed");
		return NULL;
	}
	element = pool->alloc(gfp, pool->data);
	return likely(element) ? element : take(pool);
}

void mempool_free(void *element, mempool_t *pool)
{
	if (!element)
		return;
	/* Only a reserve that is not full is looked at: the free of an element that lies in
	 * a full one is found by the function that it is given to, or not at all. */
	if (unlikely((u32)load(&pool->empty)) && in_reserve(pool, element))
		mm_report("mempool_free", element, "an element that lies in reserve already (double free)");
	else if (likely(!keep(pool, element)))
		pool->free(element, pool->data);
}

static unsigned int length(const struct mempool *pool, const u64 *stack)
{
	unsigned int n = 0;

	for (u32 i = (u32)load(stack); i && n < pool->nr_slots; i = READ_ONCE(slot_at(pool, i - 1)->next))
		n++;
	return n;
}

unsigned int mempool_in_reserve(const mempool_t *pool)
{
	return length(pool, &pool->full);
}

bool mempool_is_saturated(const mempool_t *pool)
{
	return mempool_in_reserve(pool) >= READ_ONCE(pool->min_nr);
}

/* ------------------------------------------------------------ its size */

/* A slot that nobody knows: a spare one, or a new one; NO_SLOT: no memory. */
static u32 new_slot(struct mempool *pool)
{
	u32 i = pool->spare;
	unsigned int c;

	if (i) {
		pool->spare = slot_at(pool, i - 1)->next;
		return i - 1;
	}
	i = pool->nr_slots;
	c = chunk_of(i);
	if (!pool->chunk[c])
		pool->chunk[c] = kzalloc((FIRST_CHUNK << c) * sizeof(struct slot), GFP_KERNEL);
	if (!pool->chunk[c])
		return NO_SLOT;
	__atomic_store_n(&pool->nr_slots, i + 1, __ATOMIC_RELEASE);
	return i;
}

static void spare_slot(struct mempool *pool, u32 i)
{
	struct slot *s = slot_at(pool, i);

	WRITE_ONCE(s->element, NULL);
	WRITE_ONCE(s->next, pool->spare);
	pool->spare = i + 1;
}

/* In this order: once it is given away anybody may have it and free it, and must not find
 * it in a slot. */
static void drop(struct mempool *pool, u32 i)
{
	void *element = slot_at(pool, i)->element;

	spare_slot(pool, i);
	pool->free(element, pool->data);
}

/* All n elements first: then the reserve is that much larger, or as it was. */
static int grow(struct mempool *pool, u32 n)
{
	u32 chain = 0, i;

	while (n--) {
		void *element;

		i = new_slot(pool);
		if (i == NO_SLOT)
			break;
		element = pool->alloc(GFP_KERNEL, pool->data);
		if (!element) {
			spare_slot(pool, i);
			break;
		}
		WRITE_ONCE(slot_at(pool, i)->element, element);
		WRITE_ONCE(slot_at(pool, i)->next, chain);
		chain = i + 1;
	}
	while ((i = chain)) {
		chain = slot_at(pool, i - 1)->next;
		if (n == ~0u)
			push(pool, &pool->full, i - 1);
		else
			drop(pool, i - 1);
	}
	return n == ~0u ? 0 : -ENOMEM;
}

/* Slots that are in others' hands come back soon. */
static void shrink(struct mempool *pool, u32 n)
{
	while (n) {
		u32 i = pop(pool, &pool->empty);

		if (i != NO_SLOT) {
			spare_slot(pool, i);
			n--;
		} else if ((i = pop(pool, &pool->full)) != NO_SLOT) {
			drop(pool, i);
			n--;
		} else {
			cpu_relax();
		}
	}
}

static bool bad_min(const char *call, const struct mempool *pool, int min_nr)
{
	if (min_nr >= 1 && min_nr <= MEMPOOL_MAX)
		return false;
	mm_report(call, pool, "%d elements in reserve: out of range (1 to %d)", min_nr, MEMPOOL_MAX);
	return true;
}

int mempool_resize(mempool_t *pool, int new_min_nr)
{
	u32 was = 0, min_nr = (u32)new_min_nr;
	int err = 0;

	check_may_wait("mempool_resize");
	if (bad_min("mempool_resize", pool, new_min_nr))
		return -EINVAL;
	if (!__atomic_compare_exchange_n(&pool->resizing, &was, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return -EBUSY;
	if (min_nr > pool->min_nr)
		err = grow(pool, min_nr - pool->min_nr);
	else
		shrink(pool, pool->min_nr - min_nr);
	if (!err)
		WRITE_ONCE(pool->min_nr, min_nr);
	__atomic_store_n(&pool->resizing, 0, __ATOMIC_RELEASE);
	return err;
}

/* ------------------------------------------------- beginning and end */

static void free_pool(struct mempool *pool)
{
	for (unsigned int c = 0; c < NR_CHUNKS; c++)
		kfree(pool->chunk[c]);
	kfree(pool);
}

mempool_t *mempool_create(int min_nr, mempool_alloc_t *alloc_fn, mempool_free_t *free_fn, void *pool_data)
{
	struct mempool *pool;

	check_may_wait("mempool_create");
	if (bad_min("mempool_create", NULL, min_nr))
		return NULL;
	if (!alloc_fn || !free_fn) {
		mm_report("mempool_create", NULL, "no function to allocate or to free by");
		return NULL;
	}
	pool = kzalloc(sizeof(*pool), GFP_KERNEL);
	if (!pool)
		return NULL;
	pool->alloc = alloc_fn;
	pool->free = free_fn;
	pool->data = pool_data;
	if (grow(pool, (u32)min_nr)) {
		free_pool(pool);
		return NULL;
	}
	pool->min_nr = (u32)min_nr;
	return pool;
}

int mempool_destroy(mempool_t *pool)
{
	unsigned int here;

	check_may_wait("mempool_destroy");
	if (!pool)
		return 0;
	here = mempool_in_reserve(pool);
	if (here < pool->min_nr) {
		mm_report("mempool_destroy", pool, "elements are still out: %u of %u are in reserve", here,
			  pool->min_nr);
		return -EBUSY;
	}
	shrink(pool, pool->min_nr);
	free_pool(pool);
	return 0;
}

/* --------------------------------------------------- where elements come from */

void *mempool_alloc_slab(gfp_t gfp, void *cache)
{
	return gfp & __GFP_RECLAIM ? kmem_cache_alloc(cache, gfp) : kmem_cache_alloc_nolock(cache, gfp, NUMA_NO_NODE);
}

void mempool_free_slab(void *element, void *cache)
{
	kmem_cache_free_nolock(cache, element);
}

void *mempool_kmalloc(gfp_t gfp, void *size)
{
	return gfp & __GFP_RECLAIM ? kmalloc((size_t)size, gfp) : kmalloc_nolock((size_t)size, gfp, NUMA_NO_NODE);
}

void mempool_kfree(void *element, void *size)
{
	(void)size;
	kfree_nolock(element);
}

void *mempool_alloc_pages(gfp_t gfp, void *order)
{
	unsigned int k = (unsigned int)(u64)order;

	return gfp & __GFP_RECLAIM ? alloc_pages(gfp, k) : alloc_pages_nolock(gfp, NUMA_NO_NODE, k);
}

void mempool_free_pages(void *element, void *order)
{
	free_pages_nolock(element, (unsigned int)(u64)order);
}
