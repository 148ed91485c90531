/*
 * smp.h - what the files of kernel/ tell each other about CPUs and the two IPIs.
 */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include <anyctx/smp.h>

/* CPUs that threads may come to: those online but for one that is about to go. Its bit is
 * cleared by CPU 0, and set by the CPU itself, or by CPU 0 if it stays. */
extern u64 cpu_active_mask;
static inline bool cpu_active(unsigned int cpu)
{
	return __atomic_load_n(&cpu_active_mask, __ATOMIC_SEQ_CST) >> cpu & 1;
}

/* CPU 0 at boot: this many CPUs are up; and: IPIs can be sent from now on. */
void smp_set_online(unsigned int n);
void irq_work_init(void);

/* One item, which is on no list any more. */
struct irq_work;
void irq_work_run_one(struct irq_work *w);
/* CONFIG_RT, kernel/rt/lazy.c: start the threads; give one an item, in the interrupt:
 * false, there is none, or this CPU is about to go; and run what waits for the thread of a
 * CPU that goes, there. */
void lazy_init(void);
bool irq_work_to_thread(struct irq_work *w);
void lazy_leave(void);

/* What the IPIs do: run all that waits on this CPU. Interrupts off. */
void irq_work_serve(void);
void smp_call_serve(void);

#endif
