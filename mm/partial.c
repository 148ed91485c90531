/*
 * partial.c - where slabs with free objects wait: two stacks for each cache and
 * node; and the slabs that are in the hands of a call on their way.
 *
 * A stack's head {tag, frame} changes by compare-and-swap with a new tag. A
 * descriptor's `next` may be read by anyone at any time: descriptors never go
 * away, and what a walk finds counts only when the slab's state word is swapped.
 *
 * Between leaving a stack and being emptied, released or put back, a slab is in
 * a hand slot of its CPU, so that a nested call, or another CPU, that finds
 * nothing elsewhere finds its objects there.
 *
 * All functions: any context, any CPU.
 */
#include "mm/internal.h"
#include <anyctx/smp.h>

#define EMPTIES_KEPT 8

/* ------------------------------------------------- slabs in a call's hands */

/*
 * Each CPU's slots, one for each call that moves a slab, nested ones above. A
 * nested call gives back the depth that it found, so plain stores do.
 */
#define HAND_SLOTS 16
struct hands {
	u32 depth;
	u32 slab[HAND_SLOTS]; /* frame number of the head page; 0: none */
};
static DEFINE_PER_CPU(struct hands, hands);

/* Before the slab leaves where others find it. */
static void hand_hold(unsigned int slot, u64 pfn)
{
	if (slot < HAND_SLOTS)
		WRITE_ONCE(this_cpu_ptr(hands)->slab[slot], (u32)pfn);
}

unsigned int hand_open(const struct page *head)
{
	struct hands *h = this_cpu_ptr(hands);
	unsigned int slot = h->depth;

	WRITE_ONCE(h->depth, slot + 1);
	hand_hold(slot, head ? page_pfn(head) : 0);
	return slot;
}

void hand_close(unsigned int slot)
{
	hand_hold(slot, 0);
	WRITE_ONCE(this_cpu_ptr(hands)->depth, slot);
}

static bool on_node(u64 pfn, int nid)
{
	return nid < 0 || line_node[pfn >> LINE_SHIFT] == nid;
}

static void *hands_get_one(struct kmem_cache *s, int nid)
{
	for (unsigned int c = 0; c < num_online_cpus(); c++) {
		struct hands *h = per_cpu_ptr(hands, c);

		for (unsigned int i = 0; i < HAND_SLOTS; i++) {
			u64 pfn = READ_ONCE(h->slab[i]);
			void *obj = pfn && on_node(pfn, nid) ? slab_get_one(s, pfn_page(pfn)) : NULL;

			if (obj)
				return obj;
		}
	}
	return NULL;
}

/* ------------------------------------------------------------ the stacks */

static void stack_push(u64 *stack, struct page *head)
{
	u64 old;

	do {
		old = load(stack);
		WRITE_ONCE(head->next, (u32)old);
	} while (!cas(stack, old, ((old >> 32) + 1) << 32 | page_pfn(head)));
}

static struct page *stack_pop(u64 *stack, unsigned int slot)
{
	for (;;) {
		u64 old = load(stack);
		struct page *head = pfn_page((u32)old);

		if (!(u32)old)
			return NULL;
		hand_hold(slot, (u32)old);
		if (cas(stack, old, ((old >> 32) + 1) << 32 | READ_ONCE(head->next)))
			return head;
	}
}

void partial_push(struct kmem_cache *s, struct page *head)
{
	struct slab_stacks *p = &s->partial[page_to_nid(head)];

	__atomic_fetch_add(&p->nr, 1, __ATOMIC_RELAXED);
	stack_push(&p->stack[0], head);
}

struct page *partial_pop(struct kmem_cache *s, int nid, unsigned int slot)
{
	struct slab_stacks *p = &s->partial[nid];
	struct page *head = stack_pop(&p->stack[0], slot);

	if (!head)
		head = stack_pop(&p->stack[1], slot);
	if (head)
		__atomic_fetch_sub(&p->nr, 1, __ATOMIC_RELAXED);
	else
		hand_hold(slot, 0);
	return head;
}

/* A slab in our hands goes back on a stack, unless it has no free object. */
static void relist(struct kmem_cache *s, u64 *stack, struct page *head)
{
	u64 st = load(&head->state);

	while (!ST_FREE(st))
		if (__atomic_compare_exchange_n(&head->state, &st, make_state(st, ST_NONE, 0, s->id, 0),
						false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
			__atomic_fetch_sub(&s->partial[page_to_nid(head)].nr, 1, __ATOMIC_RELAXED);
			return;
		}
	stack_push(stack, head);
}

/* Slabs that ran out of free objects leave the stack when they come to its top. */
static void drop_exhausted(struct kmem_cache *s, u64 *stack)
{
	u64 top = load(stack);
	struct page *head;
	unsigned int slot;

	if (!(u32)top || ST_FREE(load(&pfn_page((u32)top)->state)))
		return;
	slot = hand_open(NULL);
	head = stack_pop(stack, slot);
	if (head)
		relist(s, stack, head);
	hand_close(slot);
}

static void *stack_get_one(struct kmem_cache *s, u64 *stack)
{
	u64 steps = managed_pages; /* a walk gone astray ends */

	for (u32 pfn = (u32)load(stack); pfn && steps--; pfn = READ_ONCE(pfn_page(pfn)->next)) {
		void *obj = slab_get_one(s, pfn_page(pfn));

		if (obj)
			return obj;
		drop_exhausted(s, stack);
	}
	return NULL;
}

void *partial_get_one(struct kmem_cache *s, int nid)
{
	for (int n = 0; n < (int)num_nodes(); n++)
		for (unsigned int i = 0; i < 2 && (nid < 0 || n == nid); i++) {
			void *obj = stack_get_one(s, &s->partial[n].stack[i]);

			if (obj)
				return obj;
		}
	return hands_get_one(s, nid);
}

/* ------------------------------------------------------------ trimming */

void partial_count_empty(struct kmem_cache *s, int nid)
{
	if (__atomic_add_fetch(&s->partial[nid].empties, 1, __ATOMIC_RELAXED) > EMPTIES_KEPT)
		if (partial_wants_trim(s, nid))
			defer_kick();
}

/* Worth a walk: many have become empty, and they are a good part of all. */
bool partial_wants_trim(const struct kmem_cache *s, int nid)
{
	const struct slab_stacks *p = &s->partial[nid];
	u64 empties = __atomic_load_n(&p->empties, __ATOMIC_RELAXED);

	if (mm_tight)
		return empties != 0;
	return empties > EMPTIES_KEPT && empties > __atomic_load_n(&p->nr, __ATOMIC_RELAXED) / 4;
}

/* Move all slabs from one stack to the other, and free those that are empty. */
static u64 stack_trim(struct kmem_cache *s, struct slab_stacks *p, u64 *from, u64 *to)
{
	unsigned int slot = hand_open(NULL);
	struct page *head;
	u64 pages = 0, steps = managed_pages;

	while (steps-- && (head = stack_pop(from, slot))) {
		u64 n = 1UL << head->order;

		if (slab_release_if_empty(s, head)) {
			__atomic_fetch_sub(&p->nr, 1, __ATOMIC_RELAXED);
			pages += n;
		} else {
			relist(s, to, head);
		}
		hand_hold(slot, 0);
	}
	hand_close(slot);
	return pages;
}

/* The slabs in use move to the second stack meanwhile, where everyone still finds
 * them. */
u64 partial_trim(struct kmem_cache *s, int nid)
{
	struct slab_stacks *p = &s->partial[nid];
	u64 pages;

	__atomic_store_n(&p->empties, 0, __ATOMIC_RELAXED);
	pages = stack_trim(s, p, &p->stack[1], &p->stack[0]);
	return pages + stack_trim(s, p, &p->stack[0], &p->stack[1]);
}
