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

bool hand_open_here(void)
{
	return READ_ONCE(this_cpu_ptr(hands)->depth);
}

unsigned int hands_open_on(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(hands, cpu)->depth);
}

unsigned int hands_open(void)
{
	unsigned int n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		n += READ_ONCE(per_cpu_ptr(hands, c)->depth);
	return n;
}

static bool on_node(u64 pfn, int nid)
{
	return nid < 0 || line_node[pfn >> LINE_SHIFT] == nid;
}

static void *hands_get_one(struct kmem_cache *s, int nid)
{
	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
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

/* nr counts what is on the stacks: up before the push, down after the pop. */
static void list_push(struct kmem_cache *s, struct page *head, unsigned int i)
{
	struct slab_stacks *p = &s->partial[page_to_nid(head)];

	__atomic_fetch_add(&p->nr, 1, __ATOMIC_RELAXED);
	stack_push(&p->stack[i], head);
}

static struct page *list_pop(struct slab_stacks *p, unsigned int i, unsigned int slot)
{
	struct page *head = stack_pop(&p->stack[i], slot);

	if (head)
		__atomic_fetch_sub(&p->nr, 1, __ATOMIC_RELAXED);
	return head;
}

void partial_push(struct kmem_cache *s, struct page *head)
{
	list_push(s, head, 0);
}

struct page *partial_pop(struct kmem_cache *s, int nid, unsigned int slot)
{
	struct page *head = list_pop(&s->partial[nid], 0, slot);

	if (!head)
		head = list_pop(&s->partial[nid], 1, slot);
	if (!head)
		hand_hold(slot, 0);
	return head;
}

void partial_relist(struct kmem_cache *s, struct page *head)
{
	if (!slab_unlist_if_exhausted(s, head))
		list_push(s, head, 0);
}

/* Slabs that ran out of free objects leave the stack when they come to its top. */
static void drop_exhausted(struct kmem_cache *s, int nid, unsigned int i)
{
	struct slab_stacks *p = &s->partial[nid];
	u64 top = load(&p->stack[i]);
	struct page *head;
	unsigned int slot;

	if (!(u32)top || ST_FREE(load(&pfn_page((u32)top)->state)))
		return;
	slot = hand_open(NULL);
	head = list_pop(p, i, slot);
	if (head && !slab_unlist_if_exhausted(s, head))
		list_push(s, head, i);
	hand_close(slot);
}

static void *stack_get_one(struct kmem_cache *s, int nid, unsigned int i)
{
	u64 steps = managed_pages; /* a walk gone astray ends */

	for (u32 pfn = (u32)load(&s->partial[nid].stack[i]); pfn && steps--; pfn = READ_ONCE(pfn_page(pfn)->next)) {
		void *obj = slab_get_one(s, pfn_page(pfn));

		if (obj)
			return obj;
		drop_exhausted(s, nid, i);
		mm_point();
	}
	return NULL;
}

/* Changes whenever a slab goes on or off a stack of the node. */
static u64 stacks_version(const struct slab_stacks *p)
{
	return (load(&p->stack[0]) >> 32) + (load(&p->stack[1]) >> 32 << 32);
}

static void *node_get_one(struct kmem_cache *s, int nid)
{
	void *obj = stack_get_one(s, nid, 0);

	if (!obj)
		obj = stack_get_one(s, nid, 1);
	return obj ? obj : hands_get_one(s, nid);
}

/* A slab may move from where we have not looked to where we have, or lead us
 * astray on its way: then the stacks have changed, and we look again. */
void *partial_get_one(struct kmem_cache *s, int nid)
{
	for (int n = 0; n < (int)num_nodes(); n++) {
		unsigned int tries = STACK_LOOK_TRIES;
		void *obj = NULL;
		u64 before;

		if (nid >= 0 && n != nid)
			continue;
		do {
			before = stacks_version(&s->partial[n]);
			obj = node_get_one(s, n);
		} while (!obj && stacks_version(&s->partial[n]) != before && --tries);
		if (obj)
			return obj;
	}
	return NULL;
}

/* ------------------------------------------------------------ trimming */

void partial_count_empty(struct kmem_cache *s, int nid)
{
	if (__atomic_add_fetch(&s->partial[nid].empties, 1, __ATOMIC_RELAXED) > EMPTIES_KEPT)
		if (partial_wants_trim(s, nid))
			defer_kick();
}

/* It counts as empty no longer. Only where objects come one by one, so that one slab may be
 * emptied again and again: else the trims are as often as it is. */
void partial_uncount_empty(struct kmem_cache *s, int nid)
{
	u64 *empties = &s->partial[nid].empties, n = load(empties);

	if (n)
		cas(empties, n, n - 1); /* or not: it is a hint */
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

/* Move all slabs from one stack to the other, and free those that are empty. As
 * many as there are: another trim may be moving them back. */
static u64 stack_trim(struct kmem_cache *s, struct slab_stacks *p, unsigned int from)
{
	unsigned int slot = hand_open(NULL);
	u64 pages = 0, steps = __atomic_load_n(&p->nr, __ATOMIC_RELAXED);
	struct page *head;

	while (steps-- && (head = list_pop(p, from, slot))) {
		u64 n = 1UL << head->order;

		if (slab_release_if_empty(s, head))
			pages += n;
		else if (!slab_unlist_if_exhausted(s, head))
			list_push(s, head, !from);
		hand_hold(slot, 0);
		if (CONFIG_RT) { /* a point is none with a slot open */
			hand_close(slot);
			mm_point();
			slot = hand_open(NULL);
		}
	}
	hand_close(slot);
	return pages;
}

/* The slabs in use move to the other stack meanwhile, where everyone still finds
 * them. */
u64 partial_trim(struct kmem_cache *s, int nid)
{
	struct slab_stacks *p = &s->partial[nid];
	u64 pages;

	mm_begin();
	__atomic_store_n(&p->empties, 0, __ATOMIC_RELAXED);
	pages = stack_trim(s, p, 1);
	pages += stack_trim(s, p, 0);
	mm_end();
	return pages;
}
