/*
 * held.c - what each CPU holds: a stack of its own, of locks, services and sections.
 *
 * Invariant: entries from n on are HELD_FREE. A context claims an entry by one
 * instruction that raises n; the store of HELD_NOW commits it, that of HELD_GONE ends
 * it, and n goes down past entries that are gone, never past one that is claimed. Who
 * interrupts any of this pushes above n and has dropped all of it, or left entries that
 * count, when the interrupted one goes on. So the stack is whole at every instruction,
 * and what was taken first may be dropped first.
 */
#include <arch/local.h>
#include "internal.h"

DEFINE_PER_CPU(struct held_cpu, held_cpu);

u64 held_count(void)
{
	return this_cpu_read64(held_cpu.n);
}

const struct held *held_at(u64 i)
{
	const struct held *h = &this_cpu_ptr(held_cpu)->stack[i];

	return READ_ONCE(h->state) == HELD_NOW ? h : NULL;
}

void held_push(const void *lock, struct lock_class *c, enum lock_how how, u64 rbp)
{
	struct held_cpu *mine = this_cpu_ptr(held_cpu);
	u64 i = READ_ONCE(mine->n);
	struct held *h;

	do {
		if (i >= MAX_HELD) {
			report_full("what a CPU holds");
			return;
		}
	} while (!this_cpu_cmpxchg64(&held_cpu.n, &i, i + 1));
	h = &mine->stack[i];
	WRITE_ONCE(h->state, HELD_CLAIMED);
	h->how = how;
	h->lock = lock;
	h->class = c;
	h->depth = this_cpu_read64(context_depth);
	trace_take(&h->at, rbp);
	barrier();
	WRITE_ONCE(h->state, HELD_NOW);
}

static bool to_free(struct held *h)
{
	u32 gone = HELD_GONE;

	return __atomic_compare_exchange_n(&h->state, &gone, HELD_FREE, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

/* n goes down past what is gone at the top. Who interrupts may do the same, or leave
 * something on top: then the entry is gone, but stays. */
static void trim(struct held_cpu *mine)
{
	u64 n;

	while ((n = READ_ONCE(mine->n)) && READ_ONCE(mine->stack[n - 1].state) == HELD_GONE) {
		u64 top = n;

		if (to_free(&mine->stack[n - 1]) && !this_cpu_cmpxchg64(&held_cpu.n, &top, n - 1))
			WRITE_ONCE(mine->stack[n - 1].state, HELD_GONE);
	}
}

/* What a thread holds while it does not run: no spinlock, as a holder keeps its CPU, but
 * mutexes, and services that it is at. */
struct saved {
	u64 n;
	struct held held[MAX_SAVED];
};
_Static_assert(sizeof(struct saved) <= LOCKDEP_THREAD_BYTES, "room in struct task");

static void save(struct saved *s)
{
	struct held_cpu *mine = this_cpu_ptr(held_cpu);

	s->n = mine->n;
	if (s->n > MAX_SAVED) {
		report_full("what a thread holds while another runs");
		s->n = MAX_SAVED;
	}
	for (u64 i = s->n; i--;)
		s->held[i] = mine->stack[i];
	while (mine->n) { /* from the top, so that an NMI in between finds the rest whole */
		mine->stack[mine->n - 1].state = HELD_FREE;
		barrier();
		this_cpu_add64(held_cpu.n, -1);
	}
}

/* Interrupts off: only NMIs and breakpoints come, and leave n as it was. */
void lockdep_switch(void *from, void *to)
{
	struct held_cpu *mine = this_cpu_ptr(held_cpu);
	struct saved *s = to;

	save(from);
	for (u64 i = 0; i < s->n; i++) {
		this_cpu_add64(held_cpu.n, 1);
		mine->stack[i] = s->held[i];
		barrier();
	}
	s->n = 0;
}

bool held_drop(const void *lock)
{
	struct held_cpu *mine = this_cpu_ptr(held_cpu);

	for (u64 i = READ_ONCE(mine->n); i--;) {
		struct held *h = &mine->stack[i];

		if (READ_ONCE(h->state) != HELD_NOW || h->lock != lock)
			continue;
		WRITE_ONCE(h->state, HELD_GONE);
		barrier();
		trim(mine);
		return true;
	}
	return false;
}
