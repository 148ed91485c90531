/*
 * spinlock.h - the calls of include/anyctx/spinlock.h in the build CONFIG=rt: a thread
 * that does not get the lock sleeps, and the owner inherits its priority (rtmutex.h).
 *
 * Contexts. spin_lock, spin_lock_irqsave, and the unlocks: threads, outside of
 * preempt_disable and with interrupts on where another may hold it. Interrupts stay as
 * they are, and the holder may be preempted; it stays on its CPU. The trylocks: any, but
 * in interrupts, NMIs and debug exceptions the answer is false: there a lock would have
 * no thread for an owner. spin_is_locked: any.
 */
#ifndef ANYCTX_SPINLOCK_H
#define ANYCTX_SPINLOCK_H

#include <anyctx/rtmutex.h>

typedef struct {
	struct rt_mutex mutex;
} spinlock_t;

#define SPINLOCK_INIT { { 0, NULL, NULL } }

void spin_lock_init(spinlock_t *l);
void spin_lock(spinlock_t *l);
void spin_unlock(spinlock_t *l);
bool spin_trylock(spinlock_t *l);
bool spin_is_locked(const spinlock_t *l);
u64 spin_lock_irqsave(spinlock_t *l);
void spin_unlock_irqrestore(spinlock_t *l, u64 flags);
bool spin_trylock_irqsave(spinlock_t *l, u64 *flags);

#endif
