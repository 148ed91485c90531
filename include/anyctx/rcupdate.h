/*
 * rcupdate.h - read-copy-update: readers that wait for nobody, and frees that wait for
 * them.
 *
 * A grace period is a time in which each CPU has been seen outside of all readers. What
 * was taken out of every structure before it began can be seen by no reader after it.
 *
 * Contexts. Readers, call_rcu, kfree_rcu, kfree_rcu_nolock, and what asks about grace
 * periods: any, at any instruction; a reader may be interrupted by other readers, and
 * nest. synchronize_rcu and rcu_barrier: thread, interrupts on, not inside a reader
 * (checked; else a panic): they wait. A reader ends in the context and on the CPU that it
 * began on, which a thread keeps meanwhile, and must not wait for a grace period.
 *
 * A reader that does not end holds up all grace periods, and so all memory that waits
 * for them; nothing else does. When memory is short they are hurried along by NMIs.
 */
#ifndef ANYCTX_RCUPDATE_H
#define ANYCTX_RCUPDATE_H

#include <anyctx/preempt.h>

/* Of each CPU: readers under way in all its contexts; one of them is to tell when it is
 * the last that ends; the newest grace period for which the CPU was seen outside. */
struct rcu_cpu {
	u64 nesting, wanted, seen;
};
DECLARE_PER_CPU(struct rcu_cpu, rcu_cpu);

void __rcu_reader_ended(void); /* for the next */

static inline void rcu_read_lock(void)
{
	preempt_disable();
	this_cpu_add64(rcu_cpu.nesting, 1);
	barrier();
}

static inline void rcu_read_unlock(void)
{
	barrier();
	this_cpu_add64(rcu_cpu.nesting, -1);
	if (unlikely(this_cpu_read64(rcu_cpu.wanted)))
		__rcu_reader_ended();
	preempt_enable();
}

/* Is this CPU inside a reader, of this context or one that it interrupted? */
static inline bool rcu_read_lock_held(void)
{
	return this_cpu_read64(rcu_cpu.nesting) != 0;
}

/* A pointer to what readers may see from now on; what was written before is seen with it. */
#define rcu_assign_pointer(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
/* Inside a reader: the pointer, and what it points to until the reader ends. */
#define rcu_dereference(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)

/* Returns when a grace period that began after the call has ended. */
void synchronize_rcu(void);

/*
 * The same without waiting: what has to have ended is a number, which may be asked about
 * later. start_poll_ also sees to it that it will end.
 */
u64 get_state_synchronize_rcu(void);
u64 start_poll_synchronize_rcu(void);
bool poll_state_synchronize_rcu(u64 state);

struct rcu_head {
	struct rcu_head *next;
	void (*func)(struct rcu_head *head);
};

/*
 * func(head) once, after a grace period, on this CPU, or on another if this one goes offline
 * meanwhile: in hard interrupt, or thread context with interrupts off. In no order. head is the caller's memory, and RCU's until then; it
 * may be given again from func.
 */
void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head));
/* Returns when all functions have run, and all frees been made, that were asked for before, on any CPU. */
void rcu_barrier(void);

void __kfree_rcu(struct rcu_head *head, u64 offset); /* for the next */

/* kfree(ptr) after a grace period; rhf names a struct rcu_head in *ptr, in its first 4
 * KiB. Needs no memory and cannot fail. NULL is ignored. */
#define kfree_rcu(ptr, rhf) do { \
	__typeof__(ptr) __p = (ptr); \
	_Static_assert(__builtin_offsetof(__typeof__(*__p), rhf) < 4096, "the head lies too far back"); \
	if (__p) \
		__kfree_rcu(&__p->rhf, __builtin_offsetof(__typeof__(*__p), rhf)); \
} while (0)
/*
 * kfree(p) after a grace period, of anything that kfree takes; nothing is written into it.
 * It needs 24 bytes meanwhile, of memory or, at its end, of a reserve of 64 on each CPU. False:
 * both are used up and a reader holds grace periods up; then p is still the caller's.
 */
bool kfree_rcu_nolock(const void *p);

#endif
