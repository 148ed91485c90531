/*
 * local_lock.h - per-CPU locks: they exclude other contexts of the same CPU.
 *
 * A local_lock_t is held with interrupts off and cannot be seen held by
 * anything but an NMI or debug exception. A local_trylock_t is in addition a
 * flag that such a context can test: local_trylock fails there instead of
 * entering twice. Define them with DEFINE_PER_CPU; the calls act on this CPU's
 * copy. local_lock may be called from thread and interrupt context,
 * local_trylock and local_lock_is_locked from any.
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

/* l: address of the per-CPU variable itself (&name), not of a copy. */
u64 local_lock_irqsave(local_lock_t *l);
void local_unlock_irqrestore(local_lock_t *l, u64 flags);
u64 local_trylock_lock_irqsave(local_trylock_t *l);
bool local_trylock_irqsave(local_trylock_t *l, u64 *flags);
void local_trylock_unlock_irqrestore(local_trylock_t *l, u64 flags);
bool local_lock_is_locked(const local_trylock_t *l);

#endif
