/*
 * local_lock.h - the calls of include/anyctx/local_lock.h in the build CONFIG=rt: they
 * exclude other threads of the same CPU, which sleep for it (rtmutex.h).
 *
 * Between lock and unlock the thread stays on its CPU, but is preempted, and interrupts
 * stay as they are; interrupts, NMIs and debug exceptions never get the lock. Given the
 * address of the per-CPU variable itself, as in the other builds.
 */
#ifndef ANYCTX_LOCAL_LOCK_H
#define ANYCTX_LOCAL_LOCK_H

#include <anyctx/percpu.h>
#include <anyctx/rtmutex.h>

typedef struct {
	struct rt_mutex mutex;
} local_lock_t;

typedef struct {
	struct rt_mutex mutex;
} local_trylock_t;

/* Threads; may sleep. The flags are for the unlock only. */
u64 local_lock_irqsave(local_lock_t *l);
u64 local_trylock_lock_irqsave(local_trylock_t *l);
/* Any context; false in all but threads. Never waits. */
bool local_trylock_irqsave(local_trylock_t *l, u64 *flags);
void local_unlock_irqrestore(local_lock_t *l, u64 flags);
void local_trylock_unlock_irqrestore(local_trylock_t *l, u64 flags);
/* Is this CPU's copy held, by any thread? Any context. */
bool local_lock_is_locked(const local_trylock_t *l);

#endif
