/*
 * spinlock.h - ticketless test-and-set lock with an owner, for short sections.
 *
 * spin_lock may not be called from an NMI or a debug exception on a lock that
 * the interrupted code may hold; spin_trylock may be called from anywhere, on
 * one CPU as on many: it fails if the lock is held, whoever holds it.
 */
#ifndef ANYCTX_SPINLOCK_H
#define ANYCTX_SPINLOCK_H

#include <anyctx/types.h>

typedef struct {
	u32 owner; /* 0: free; else CPU number + 1 */
} spinlock_t;

#define SPINLOCK_INIT { 0 }

void spin_lock_init(spinlock_t *l);
void spin_lock(spinlock_t *l);
void spin_unlock(spinlock_t *l);
bool spin_trylock(spinlock_t *l);
bool spin_is_locked(const spinlock_t *l);
/* With local interrupts off while held; the value goes back to the unlock. */
u64 spin_lock_irqsave(spinlock_t *l);
void spin_unlock_irqrestore(spinlock_t *l, u64 flags);
bool spin_trylock_irqsave(spinlock_t *l, u64 *flags);

#endif
