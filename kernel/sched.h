/*
 * sched.h - what the rest of kernel/ and the entry code call of the scheduler.
 */
#ifndef KERNEL_SCHED_H
#define KERNEL_SCHED_H

#include <anyctx/types.h>

/* CPU 0 while booting, early_alloc works: the threads' stacks, and what runs already. */
void sched_prepare(void);
/* End of an interrupt, or interrupts off: another thread, if one should run and may. */
void sched_preempt(void);
/* In every timer interrupt; in IPI_RESCHED. */
void sched_tick(void);
void sched_ipi(void);
/* The first thread of a CPU, interrupts off: sleep until cpu_wake, or an interrupt; on
 * return they are on. */
void cpu_idle(void);
/* fn(arg) on a thread of its own, which is waited for; here if there is none. */
void call_in_thread(int (*fn)(void *arg), void *arg);
/*
 * A CPU goes offline (sched_cpu.c). When it is not active any more: a thread that is bound to
 * it, by name; then one that keeps it, which the CPU is asked, and has until `end` (arch_ns) to
 * say; NULL: none, and from then on none will but its per-CPU threads. CPU 0, thread.
 * pause: let others run, for about a tick.
 */
const char *sched_bound_to(unsigned int cpu);
const char *sched_keeps_cpu(unsigned int cpu, u64 end);
void sched_pause(void);
/* That CPU itself, interrupts off: does no thread keep it? What is on it goes elsewhere, or
 * sleeps with it: before its bit is cleared, and after. */
bool sched_may_leave(void);
void sched_leave(void);
void sched_left(void);
/* How often that CPU has gone from thread to thread. Any context. */
u64 sched_switches(unsigned int cpu);
/* Any context. */
void cpu_wake(unsigned int cpu);

#endif
