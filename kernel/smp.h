/*
 * smp.h - what the files of kernel/ tell each other about CPUs and the two IPIs.
 */
#ifndef KERNEL_SMP_H
#define KERNEL_SMP_H

#include <anyctx/smp.h>

/* CPU 0 at boot: this many CPUs are up; and: IPIs can be sent from now on. */
void smp_set_online(unsigned int n);
void irq_work_init(void);

/* What the IPIs do: run all that waits on this CPU. Interrupts off. */
void irq_work_serve(void);
void smp_call_serve(void);

#endif
