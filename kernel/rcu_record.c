/*
 * rcu_record.c - kfree_rcu_nolock: frees that wait for a grace period, of memory in which
 * there is no room for a head and into which nothing may be written, as readers look at it.
 *
 * So there is a record for each, out of kmalloc. When that says no, out of 64 of this
 * CPU: a bit each, 1 for one in use, in a word that only this CPU changes, by one unlocked
 * instruction. A record goes back on the CPU it is of, as the queue is its.
 *
 * Something has to be kept for each pointer, and it cannot be kept in what is freed: so
 * with no memory at all and a reader that does not end, the call must refuse at some time.
 *
 * All functions: any context.
 */
#include <anyctx/slab.h>
#include <arch/irq.h>
#include <arch/local.h>
#include "kernel/rcu.h"

#define OWN 64

struct record {
	struct rcu_head head;
	const void *p;
};

static DEFINE_PER_CPU(struct record, own[OWN]);
static DEFINE_PER_CPU(u64, own_used);

static struct record *own_get(void)
{
	u64 used = this_cpu_read64(own_used);

	while (~used) {
		unsigned int i = (unsigned int)__builtin_ctzl(~used);

		if (this_cpu_cmpxchg64(&own_used, &used, used | 1UL << i))
			return &(*this_cpu_ptr(own))[i];
	}
	return NULL;
}

static bool own_put(struct record *r)
{
	u64 i = (u64)(r - *this_cpu_ptr(own)), used = this_cpu_read64(own_used);

	if ((u64)r < (u64)*this_cpu_ptr(own) || i >= OWN)
		return false;
	while (!this_cpu_cmpxchg64(&own_used, &used, used & ~(1UL << i)))
		;
	return true;
}

/* A free of the queue of frees, so it may be called in NMIs as well. */
static void free_recorded(struct rcu_head *head)
{
	struct record *r = (struct record *)head;
	const void *p = r->p;

	if (!own_put(r))
		kfree_nolock(r);
	kfree_nolock(p);
}

bool kfree_rcu_nolock(const void *p)
{
	u64 flags;
	struct record *r;

	if (ZERO_OR_NULL_PTR(p))
		return true;
	r = kmalloc_nolock(sizeof(*r), 0, NUMA_NO_NODE);
	flags = arch_irq_save(); /* stay on this CPU */
	if (!r)
		r = own_get();
	if (r) {
		r->p = p;
		rcu_free_by(&r->head, free_recorded);
	}
	arch_irq_restore(flags);
	return r != NULL;
}
