/*
 * local_lock.c - a lock of each CPU's that threads sleep for (kernel/rt/include/anyctx/
 * local_lock.h).
 *
 * Invariant: a CPU's copy is taken and given back by threads of that CPU only: each is
 * pinned to it before it looks for the copy, until after it has given it back.
 */
#include <anyctx/local_lock.h>
#include <anyctx/preempt.h>
#include "kernel/context.h"

static struct rt_mutex *mine(const struct rt_mutex *m)
{
	return (struct rt_mutex *)((char *)m + this_cpu_offset());
}

static void take(struct rt_mutex *m)
{
	migrate_disable();
	rt_mutex_lock(mine(m));
}

static void give(struct rt_mutex *m)
{
	rt_mutex_unlock(mine(m));
	migrate_enable();
}

u64 local_lock_irqsave(local_lock_t *l)
{
	take(&l->mutex);
	return 0;
}

void local_unlock_irqrestore(local_lock_t *l, u64 flags)
{
	(void)flags;
	give(&l->mutex);
}

u64 local_trylock_lock_irqsave(local_trylock_t *l)
{
	take(&l->mutex);
	return 0;
}

void local_trylock_unlock_irqrestore(local_trylock_t *l, u64 flags)
{
	(void)flags;
	give(&l->mutex);
}

bool local_trylock_irqsave(local_trylock_t *l, u64 *flags)
{
	bool got;

	*flags = 0;
	if (!in_thread())
		return false;
	migrate_disable();
	got = rt_mutex_trylock(mine(&l->mutex));
	if (!got)
		migrate_enable();
	return got;
}

bool local_lock_is_locked(const local_trylock_t *l)
{
	return rt_mutex_is_locked(mine(&l->mutex));
}
