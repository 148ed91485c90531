/*
 * spinlock.h - ticketless test-and-set lock with an owner, for short sections.
 *
 * Contexts. The trylocks, spin_is_locked, and the unlock of what was taken: any.
 * spin_lock and spin_lock_irqsave wait, so they may be called only where the
 * interrupted code cannot hold the lock: a lock that interrupts take wants
 * spin_lock_irqsave in threads; what NMIs or debug exceptions take, they and all
 * others take by trylock. On one CPU it is a lock as on many. Not fair.
 *
 * Failure. Waiting for a lock that this CPU holds, and giving back one that it does
 * not hold, is a panic that says so.
 */
#ifndef ANYCTX_SPINLOCK_H
#define ANYCTX_SPINLOCK_H

#include <anyctx/lockdep.h>

typedef struct {
	u32 owner; /* 0: free; else CPU number + 1 */
	struct lock_site site; /* nothing, but in a build that watches locks */
} spinlock_t;

#define SPINLOCK_INIT { 0, LOCK_SITE_INIT }

/* Free; before its first use. To the checker of locks all that are initialized at one
 * place of the source are of one class. */
void spin_lock_init_at(spinlock_t *l, struct lock_site site);
#define spin_lock_init(l) spin_lock_init_at(l, (struct lock_site)LOCK_SITE_INIT)
/* Returns when it is taken. */
void spin_lock(spinlock_t *l);
void spin_unlock(spinlock_t *l);
/* Never waits. True: taken; false: held, by whichever CPU and context. */
bool spin_trylock(spinlock_t *l);
/* Is it held by anybody? May have changed when it returns. */
bool spin_is_locked(const spinlock_t *l);
/* With interrupts off on this CPU while held; returns what they were, for the
 * unlock. While it waits they are as they were. */
u64 spin_lock_irqsave(spinlock_t *l);
/* Unlock, then interrupts as flags says. */
void spin_unlock_irqrestore(spinlock_t *l, u64 flags);
/* Never waits. True: taken, with interrupts off, and *flags is for the unlock;
 * false: held, interrupts are as they were, and *flags means nothing. */
bool spin_trylock_irqsave(spinlock_t *l, u64 *flags);

#endif
