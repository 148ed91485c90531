/*
 * tick.h - the timer interrupts of all CPUs: their rate and their count.
 */
#ifndef KERNEL_TICK_H
#define KERNEL_TICK_H

#include <anyctx/percpu.h>

/* Start the ticks at the rate that hz= or the number of CPUs says. CPU 0, boot. */
void tick_init(void);
/* The rate in force (0: stopped), and the one that tick_init chose. */
unsigned int tick_hz(void);
unsigned int tick_default_hz(void);
/* Change it, on all CPUs. Thread context, interrupts on. */
void tick_set_hz(unsigned int hz);
/* Timer interrupts of a CPU since boot; any context. */
u64 tick_number(unsigned int cpu);
/* In every timer interrupt. */
void tick_count(void);

#endif
