/*
 * workload_rate.h - how many NMIs a second the main job asks the source for.
 */
#ifndef KERNEL_WORKLOAD_RATE_H
#define KERNEL_WORKLOAD_RATE_H

#include <anyctx/types.h>

/* CPU 0, thread context, interrupts on. Begin, with the source stopped; then often,
 * with the time: look, and change the rate if it is time to; stop the source. */
void rate_begin(void);
void rate_adapt(u64 now);
void rate_end(void);
/* The rate in force, or the last one. */
unsigned int rate_hz(void);

#endif
