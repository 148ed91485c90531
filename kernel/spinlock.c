/*
 * spinlock.c - test-and-set spinlocks that know their owner.
 *
 * Invariant: owner is 0, or 1 + the number of the CPU that holds the lock. It is
 * taken by one compare-and-swap from 0, and given back by one store of 0 by the
 * CPU that holds it. So "held" is visible to every context at every instruction,
 * on one CPU as on many: there is no build in which a trylock succeeds because
 * "nobody else can hold it".
 */
#include <anyctx/spinlock.h>
#include <anyctx/preempt.h>
#include <arch/cpu.h>
#include "kernel/panic.h"

void spin_lock_init_at(spinlock_t *l, struct lock_site site)
{
	__atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
	l->site = site;
}

bool spin_is_locked(const spinlock_t *l)
{
	return __atomic_load_n(&l->owner, __ATOMIC_RELAXED) != 0;
}

/* The holder keeps its CPU: else those who wait for it might keep it from running. */
static __always_inline bool take(spinlock_t *l)
{
	u32 free = 0;

	preempt_disable();
	if (__atomic_compare_exchange_n(&l->owner, &free, smp_processor_id() + 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return true;
	preempt_enable();
	return false;
}

bool spin_trylock(spinlock_t *l)
{
	if (!take(l))
		return false;
	lock_taken(l, &l->site, LOCK_TRIED);
	return true;
}

/* Only this CPU writes its own number there, so this reading cannot be stale. */
static void check_not_mine(const spinlock_t *l)
{
	bool mine;

	preempt_disable();
	mine = __atomic_load_n(&l->owner, __ATOMIC_RELAXED) == smp_processor_id() + 1;
	preempt_enable();
	if (unlikely(mine))
		panic("spin_lock(%p): CPU %u holds it already and would wait for ever", (void *)l,
		      smp_processor_id());
}

static void wait_until_free(const spinlock_t *l)
{
	check_not_mine(l);
	while (spin_is_locked(l))
		cpu_relax();
}

void spin_lock(spinlock_t *l)
{
	lock_wait(l, &l->site);
	while (!take(l))
		wait_until_free(l);
	lock_taken(l, &l->site, LOCK_WAITED);
}

/* False: it was not held, and nothing has been done. */
static __always_inline bool give(spinlock_t *l)
{
	if (!lock_release(l))
		return false;
	if (unlikely(__atomic_load_n(&l->owner, __ATOMIC_RELAXED) != smp_processor_id() + 1))
		panic("spin_unlock(%p) on CPU %u: owner is %u", (void *)l, smp_processor_id(), l->owner);
	__atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
	return true;
}

void spin_unlock(spinlock_t *l)
{
	if (give(l))
		preempt_enable();
}

static __always_inline bool take_irqsave(spinlock_t *l, u64 *flags)
{
	*flags = arch_irq_save();
	if (take(l))
		return true;
	arch_irq_restore(*flags);
	return false;
}

/* Waits with interrupts as they were: the holder may be waiting for our IPI. */
u64 spin_lock_irqsave(spinlock_t *l)
{
	u64 flags;

	lock_wait(l, &l->site);
	while (!take_irqsave(l, &flags))
		wait_until_free(l);
	lock_taken(l, &l->site, LOCK_WAITED);
	return flags;
}

void spin_unlock_irqrestore(spinlock_t *l, u64 flags)
{
	bool given = give(l);

	arch_irq_restore(flags);
	if (given)
		preempt_enable();
}

bool spin_trylock_irqsave(spinlock_t *l, u64 *flags)
{
	if (!take_irqsave(l, flags))
		return false;
	lock_taken(l, &l->site, LOCK_TRIED);
	return true;
}
