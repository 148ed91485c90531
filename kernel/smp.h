/*
 * smp.h - what the files of kernel/ tell each other about CPUs and the two IPIs.
 */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include <anyctx/smp.h>

/* CPU 0 at boot: this many CPUs are up; and: IPIs can be sent from now on. */
void smp_set_online(unsigned int n);
void irq_work_init(void);

/* One item, which is on no list any more. */
struct irq_work;
void irq_work_run_one(struct irq_work *w);
/* CONFIG_RT, kernel/rt/lazy.c: start the threads; give one an item, in the interrupt:
 * false, there is none. */
void lazy_init(void);
bool irq_work_to_thread(struct irq_work *w);

/* What the IPIs do: run all that waits on this CPU. Interrupts off. */
void irq_work_serve(void);
void smp_call_serve(void);

#endif
