/*
 * typesafe.c - caches with SLAB_TYPESAFE_BY_RCU: an empty slab is not released before a
 * grace period after its last free, as readers may still look at its objects.
 *
 * An empty slab that waits stays on its stack, so its objects can be had as always. It
 * has the number of the grace period that has to end (in its descriptor's refcount, cut to
 * 32 bits). Invariant: the number of an empty slab is of a time at which its last object was
 * still in the hands of who freed it. Nobody else can write it then: the slab is empty by
 * that object alone. Whoever releases it reads the number between reading the state word and
 * swapping it, so it is that of this state.
 *
 * Who must leave an empty slab alone has the trim that the cache may want tried again
 * when the grace period is over. All functions: any context, but typesafe_settle.
 */
#include "mm/typesafe.h"
#include "kernel/rcu.h"
#include <anyctx/smp.h>

static struct {
	struct rcu_head head;
	u32 queued;
} later[MAX_CACHES];

void typesafe_keep(void *obj)
{
	(void)obj;
}

u32 typesafe_number(void)
{
	return (u32)get_state_synchronize_rcu();
}

bool typesafe_over(u32 number)
{
	return (s32)((u32)rcu_ended() - number) >= 0;
}

void typesafe_emptied(struct page *head)
{
	WRITE_ONCE(head->refcount, typesafe_number());
}

static void trim_again(struct rcu_head *head)
{
	u32 id = (u32)(((u64)head - (u64)later) / sizeof(later[0]));
	struct kmem_cache *s = &caches[id];

	__atomic_store_n(&later[id].queued, 0, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&s->live, __ATOMIC_ACQUIRE))
		return;
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		if (partial_wants_trim(s, nid))
			partial_trim(s, nid);
}

bool typesafe_may_go(struct kmem_cache *s, struct page *head)
{
	int nid = page_to_nid(head);

	if (typesafe_over(READ_ONCE(head->refcount)))
		return true;
	__atomic_add_fetch(&s->partial[nid].empties, 1, __ATOMIC_RELAXED); /* the trim has set it to 0 */
	if (!__atomic_exchange_n(&later[s->id].queued, 1, __ATOMIC_SEQ_CST))
		call_rcu(&later[s->id].head, trim_again);
	return false;
}

static bool has_emptied(const struct kmem_cache *s)
{
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		if (__atomic_load_n(&s->partial[nid].empties, __ATOMIC_RELAXED))
			return true;
	return false;
}

bool typesafe_waits(void)
{
	for (u32 i = 1; i < MAX_CACHES; i++)
		if (__atomic_load_n(&caches[i].live, __ATOMIC_ACQUIRE) && caches[i].flags & SLAB_TYPESAFE_BY_RCU &&
		    has_emptied(&caches[i]))
			return true;
	return false;
}

void typesafe_settle(void)
{
	if (typesafe_waits())
		synchronize_rcu();
}
