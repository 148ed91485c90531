/*
 * local_lock.h - per-CPU locks: they exclude other contexts of the same CPU.
 *
 * A local_lock_t is held with interrupts off and cannot be seen held by
 * anything but an NMI or debug exception. A local_trylock_t is in addition a
 * flag that such a context can test: local_trylock_irqsave fails there instead
 * of entering twice. Define them with DEFINE_PER_CPU; the calls act on this CPU's
 * copy, given the address of the variable itself (&name), not of a copy. No call
 * waits. Between a lock and its unlock the CPU stays the same.
 */
#ifndef ANYCTX_LOCAL_LOCK_H
#define ANYCTX_LOCAL_LOCK_H

#include <anyctx/percpu.h>

typedef struct {
	u32 held;
} local_lock_t;

typedef struct {
	u32 held;
} local_trylock_t;

/*
 * Take it, with interrupts off from now on; returns what they were, for the unlock.
 * Thread and interrupt context. A lock that this CPU holds already is a panic.
 */
u64 local_lock_irqsave(local_lock_t *l);
u64 local_trylock_lock_irqsave(local_trylock_t *l);
/*
 * The same from any context, for who can do without: true: taken, and *flags is
 * for the unlock. False: the interrupted code of this CPU holds it; nothing has
 * changed, interrupts are as they were, and *flags means nothing.
 */
bool local_trylock_irqsave(local_trylock_t *l, u64 *flags);
/*
 * Give it back, and interrupts as flags says: in the context that took it, the last
 * taken first. A lock that is not held is a panic.
 */
void local_unlock_irqrestore(local_lock_t *l, u64 flags);
void local_trylock_unlock_irqrestore(local_trylock_t *l, u64 flags);
/* Is this CPU's copy held, by this context or the ones it interrupted? Any context. */
bool local_lock_is_locked(const local_trylock_t *l);

#endif
