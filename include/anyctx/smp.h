/*
 * smp.h - which CPUs there are, and calling a function on others.
 *
 * Contexts. What only asks: any. The calls, if wait is true: thread context with
 * interrupts on, as they wait for the other CPUs' interrupts (checked; else a panic).
 * If wait is false: thread and interrupt context, interrupts on or off. Not from
 * NMIs and debug exceptions: irq_work_queue_on is for these.
 *
 * func runs with interrupts off, in hard interrupt context on other CPUs, in the
 * caller's on its own. With wait all of it has run, and is seen, on return; without,
 * info has to live until then.
 *
 * CPUs are numbered 0 to num_possible_cpus() - 1, for ever; those online are some of
 * these, CPU 0 always (cpu.h takes the others off and back). A call to one that goes
 * meanwhile has run before it went, or does not run there at all. Who wants none to
 * come or go between two calls takes cpus_read_lock.
 */
#ifndef ANYCTX_SMP_H
#define ANYCTX_SMP_H

#include <anyctx/percpu.h>

/* CPUs that were started at boot, online or not: fixed after it, 1 to NR_CPUS. What adds
 * up over CPUs adds up over these. */
unsigned int num_possible_cpus(void);
/* CPUs online now: 1 to num_possible_cpus(). Their numbers may have gaps. */
unsigned int num_online_cpus(void);
/* A bit for each CPU online; changes by one locked instruction of the CPU itself. */
extern u64 cpu_online_mask;
static inline bool cpu_online(unsigned int cpu)
{
	return cpu < NR_CPUS && __atomic_load_n(&cpu_online_mask, __ATOMIC_SEQ_CST) >> cpu & 1;
}
/* The first one online from this number on; NR_CPUS: there is none. */
unsigned int next_online_cpu(unsigned int cpu);
/* One may go or come while the loop runs: then it may be in it or not. */
#define for_each_online_cpu(cpu) \
	for ((cpu) = next_online_cpu(0); (cpu) < NR_CPUS; (cpu) = next_online_cpu((cpu) + 1))
/* The NUMA node of a CPU, 0 to num_nodes() - 1. */
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
 * no such CPU, or it is not online; -EAGAIN, and func does not run: as above, on its way to that CPU.
 */
int smp_call_function_single(unsigned int cpu, smp_call_func_t func, void *info, bool wait);
/*
 * On every other CPU, then on this one. With wait false it repeats what would be
 * -EAGAIN until it works, for which the others must take interrupts; meanwhile this
 * CPU serves the calls of others, even with interrupts off.
 */
void on_each_cpu(smp_call_func_t func, void *info, bool wait);

#endif
