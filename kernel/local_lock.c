/*
 * local_lock.c - locks between the contexts of one CPU.
 *
 * Invariant: while `held` of a CPU's copy is 1, interrupts are off on that CPU
 * from the holder's point of view, so only an NMI or a debug exception can look
 * at it; and these leave it as they found it before they return. Plain loads and
 * stores suffice: a context that comes between our test and our store has
 * finished, and given back the lock, when we go on. `held` is set by one store.
 */
#include <anyctx/local_lock.h>
#include <anyctx/lockdep.h>
#include <arch/cpu.h>
#include "kernel/panic.h"

/* This CPU's copy of the word behind a per-CPU variable's linked address. */
static u32 *mine(const u32 *held)
{
	return (u32 *)((char *)held + this_cpu_offset());
}

static bool take(u32 *held)
{
	u32 *p = mine(held);

	if (READ_ONCE(*p))
		return false;
	WRITE_ONCE(*p, 1);
	barrier();
	return true;
}

static void take_free(u32 *held)
{
	lock_wait_local(held);
	BUG_ON(!take(held));
	lock_taken_local(held);
}

static void give(u32 *held)
{
	u32 *p = mine(held);

	if (!lock_release(held))
		return;
	BUG_ON(!READ_ONCE(*p));
	barrier();
	WRITE_ONCE(*p, 0);
}

u64 local_lock_irqsave(local_lock_t *l)
{
	u64 flags = arch_irq_save();

	take_free(&l->held);
	return flags;
}

void local_unlock_irqrestore(local_lock_t *l, u64 flags)
{
	give(&l->held);
	arch_irq_restore(flags);
}

u64 local_trylock_lock_irqsave(local_trylock_t *l)
{
	u64 flags = arch_irq_save();

	take_free(&l->held);
	return flags;
}

bool local_trylock_irqsave(local_trylock_t *l, u64 *flags)
{
	*flags = arch_irq_save();
	if (take(&l->held)) {
		lock_taken_local(&l->held);
		return true;
	}
	arch_irq_restore(*flags);
	return false;
}

void local_trylock_unlock_irqrestore(local_trylock_t *l, u64 flags)
{
	give(&l->held);
	arch_irq_restore(flags);
}

bool local_lock_is_locked(const local_trylock_t *l)
{
	return READ_ONCE(*mine(&l->held));
}
