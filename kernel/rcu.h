/*
 * rcu.h - RCU's inside, for kernel/ and the allocator's end of memory. Any context.
 */
#ifndef KERNEL_RCU_H
#define KERNEL_RCU_H

#include <anyctx/rcupdate.h>

/* CPU 0 while booting, before the first use. */
void rcu_init(void);

/* A grace period up to this number is to end, as soon as may be. */
void rcu_want(u64 number);
/* Else a panic that says why this call may not wait for readers. */
void rcu_check_may_wait(const char *call);
/* If this CPU is outside of readers, the running grace period is told so. True: that was
 * new to it. */
bool rcu_note_quiet(void);
/* The last grace period that has ended. */
u64 rcu_ended(void);
/* That CPU has not been seen outside of readers in the running grace period. */
bool rcu_waits_for(unsigned int cpu);

/* As call_rcu, for a function that is a free: it runs in any context. */
void rcu_free_by(struct rcu_head *head, void (*func)(struct rcu_head *head));
/* rcu_queue.c: see to what waits on this CPU, in an interrupt; a grace period has ended:
 * the CPUs where something waits are told. */
void rcu_queues_run(void);
void rcu_queues_kick(void);
/* Ask a CPU for both, soon. */
void rcu_kick(unsigned int cpu);

/* A CPU that goes offline, in its thread: what waits on it is done; it has gone: what has come since
 * is done or handed over. CPU 0, when that CPU sleeps, under cpus_read_lock: takes what was. */
void rcu_leave(void);
void rcu_left(void);
void rcu_adopt(void);
/* These are waited for: boot. This CPU from now on; is it? Not any more, as it reads nothing. */
void rcu_set_online(u64 cpus);
void rcu_join(void);
bool rcu_may_read(void);
void rcu_part(void);

/*
 * At the end of memory. hurry: there is to be a grace period, if a free waits for one or
 * `always`. flush_here: tell that this CPU is outside, and make all frees that may be made
 * here; not 0 if any of this was of use. holds: it helps to ask that CPU.
 * What only a reader holds up is not asked for.
 */
void rcu_hurry(bool always);
u64 rcu_flush_here(void);
bool rcu_holds(unsigned int cpu);
/* Frees and functions that wait on that CPU; racy from elsewhere. */
bool rcu_queued(unsigned int cpu);

#endif
