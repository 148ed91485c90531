/*
 * smp.h - how many CPUs there are, and calling a function on others.
 *
 * Contexts. What only asks: any. The calls, if wait is true: thread context with
 * interrupts on, as they wait for the other CPUs' interrupts (checked; else a panic).
 * If wait is false: thread and interrupt context, interrupts on or off. Not from
 * NMIs and debug exceptions: irq_work_queue_on is for these.
 *
 * func runs with interrupts off, in hard interrupt context on other CPUs, in the
 * caller's on its own. With wait all of it has run, and is seen, on return; without,
 * info has to live until then. CPUs are numbered 0 to num_online_cpus() - 1.
 */
#ifndef ANYCTX_SMP_H
#define ANYCTX_SMP_H

#include <anyctx/percpu.h>

/* CPUs online; fixed after boot, 1 to NR_CPUS. */
unsigned int num_online_cpus(void);
/* The NUMA node of a CPU that is online, 0 to num_nodes() - 1. */
int cpu_to_node(unsigned int cpu);
/* How many nodes there are, with and without memory or CPUs; 1 to MAX_NUMNODES. */
unsigned int num_nodes(void);

typedef void (*smp_call_func_t)(void *info);

/*
 * On every other CPU. 0; or -EAGAIN, and func runs nowhere: wait is false, and an
 * earlier call without wait from this CPU is still on its way to one of the others.
 */
int smp_call_function(smp_call_func_t func, void *info, bool wait);
/*
 * On one CPU, which may be this one: then it has run on return. 0; -EINVAL: there is
 * no such CPU; -EAGAIN, and func does not run: as above, on its way to that CPU.
 */
int smp_call_function_single(unsigned int cpu, smp_call_func_t func, void *info, bool wait);
/*
 * On every other CPU, then on this one. With wait false it repeats what would be
 * -EAGAIN until it works, for which the others must take interrupts; meanwhile this
 * CPU serves the calls of others, even with interrupts off.
 */
void on_each_cpu(smp_call_func_t func, void *info, bool wait);

#endif
