/*
 * spinlock.c - spinlocks that sleep (kernel/rt/include/anyctx/spinlock.h).
 *
 * Invariant: the lock is its mutex, and nothing else; the holder is a thread, pinned to
 * its CPU from before it has the lock until after.
 */
#include <anyctx/preempt.h>
#include <anyctx/spinlock.h>
#include "kernel/context.h"

void spin_lock_init(spinlock_t *l)
{
	*l = (spinlock_t)SPINLOCK_INIT;
}

void spin_lock(spinlock_t *l)
{
	migrate_disable();
	rt_mutex_lock(&l->mutex);
}

void spin_unlock(spinlock_t *l)
{
	rt_mutex_unlock(&l->mutex);
	migrate_enable();
}

bool spin_trylock(spinlock_t *l)
{
	bool got;

	if (!in_thread())
		return false;
	migrate_disable();
	got = rt_mutex_trylock(&l->mutex);
	if (!got)
		migrate_enable();
	return got;
}

bool spin_is_locked(const spinlock_t *l)
{
	return rt_mutex_is_locked(&l->mutex);
}

u64 spin_lock_irqsave(spinlock_t *l)
{
	spin_lock(l);
	return 0;
}

void spin_unlock_irqrestore(spinlock_t *l, u64 flags)
{
	(void)flags;
	spin_unlock(l);
}

bool spin_trylock_irqsave(spinlock_t *l, u64 *flags)
{
	*flags = 0;
	return spin_trylock(l);
}
