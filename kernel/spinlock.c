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

void spin_lock_init(spinlock_t *l)
{
	__atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
}

bool spin_is_locked(const spinlock_t *l)
{
	return __atomic_load_n(&l->owner, __ATOMIC_RELAXED) != 0;
}

/* The holder keeps its CPU: else those who wait for it might keep it from running. */
bool spin_trylock(spinlock_t *l)
{
	u32 free = 0;

	preempt_disable();
	if (__atomic_compare_exchange_n(&l->owner, &free, smp_processor_id() + 1, false, __ATOMIC_ACQUIRE,
					__ATOMIC_RELAXED))
		return true;
	preempt_enable();
	return false;
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
	while (!spin_trylock(l))
		wait_until_free(l);
}

static void give(spinlock_t *l)
{
	if (unlikely(__atomic_load_n(&l->owner, __ATOMIC_RELAXED) != smp_processor_id() + 1))
		panic("spin_unlock(%p) on CPU %u: owner is %u", (void *)l, smp_processor_id(), l->owner);
	__atomic_store_n(&l->owner, 0, __ATOMIC_RELEASE);
}

void spin_unlock(spinlock_t *l)
{
	give(l);
	preempt_enable();
}

/* Waits with interrupts as they were: the holder may be waiting for our IPI. */
u64 spin_lock_irqsave(spinlock_t *l)
{
	u64 flags;

	while (!spin_trylock_irqsave(l, &flags))
		wait_until_free(l);
	return flags;
}

void spin_unlock_irqrestore(spinlock_t *l, u64 flags)
{
	give(l);
	arch_irq_restore(flags);
	preempt_enable();
}

bool spin_trylock_irqsave(spinlock_t *l, u64 *flags)
{
	*flags = arch_irq_save();
	if (spin_trylock(l))
		return true;
	arch_irq_restore(*flags);
	return false;
}
