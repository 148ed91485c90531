/*
 * workload.h - the main job: all contexts of all CPUs allocate and free.
 */
#ifndef KERNEL_WORKLOAD_H
#define KERNEL_WORKLOAD_H

/* Runs it and prints its table; returns EXIT_PASS or EXIT_FAIL (arch/machine.h).
 * CPU 0, thread context, interrupts on. May be run again. */
int workload_run(void);

#endif
