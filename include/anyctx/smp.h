/*
 * smp.h - how many CPUs there are, and calling a function on others.
 *
 * The call functions: thread context with interrupts on (they wait for the
 * other CPUs' interrupts), or wait == false from thread and interrupt context.
 * func runs in hard interrupt context on the target.
 */
#ifndef ANYCTX_SMP_H
#define ANYCTX_SMP_H

#include <anyctx/percpu.h>

/* CPUs online, numbered 0 to num_online_cpus() - 1; fixed after boot. */
unsigned int num_online_cpus(void);
/* The NUMA node of a CPU, and how many nodes there are. */
int cpu_to_node(unsigned int cpu);
unsigned int num_nodes(void);

typedef void (*smp_call_func_t)(void *info);

/* On every other CPU; waits for all if wait. 0, or -EAGAIN if wait is false and an earlier call is in flight. */
int smp_call_function(smp_call_func_t func, void *info, bool wait);
/* On one CPU, also this one. */
int smp_call_function_single(unsigned int cpu, smp_call_func_t func, void *info, bool wait);
/* On every CPU with this one. */
void on_each_cpu(smp_call_func_t func, void *info, bool wait);

#endif
