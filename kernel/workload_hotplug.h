/*
 * workload_hotplug.h - the main job while CPUs go offline and come back: kernel argument
 * hotplug=MS. CPU 0's thread, but for the first call.
 */
#ifndef KERNEL_WORKLOAD_HOTPLUG_H
#define KERNEL_WORKLOAD_HOTPLUG_H

#include <anyctx/types.h>

/* Any CPU's thread: it is to come to its end, as its CPU goes. */
bool hotplug_stops_here(void);

/* Of a job that begins: every CPU works, and runs `work` when it is back. */
void hotplug_begin(void (*work)(void *), u64 now);
/* Often, with the time (arch_ns): one goes or comes, if it is time to. */
void hotplug_step(u64 now);
/* All are online again; `work` does not run on one that was offline. */
void hotplug_end(void);
/* Prints how often; false: one did not go, or none has gone though it was asked for. */
bool hotplug_print(void);

#endif
