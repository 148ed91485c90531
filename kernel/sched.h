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
/* Threads of the pool that are on a CPU; may have changed when it returns. */
unsigned int kthreads_on(unsigned int cpu);
/* Any context. */
void cpu_wake(unsigned int cpu);

#endif
