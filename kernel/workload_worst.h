/*
 * workload_worst.h - the longest of the main job's nolock calls, in instructions.
 *
 * Only where the clock counts instructions. It counts those of all CPUs, as they take
 * turns: so a call that has the machine for itself is measured exactly, and one in which
 * other CPUs had a turn at more than it took.
 */
#ifndef KERNEL_WORKLOAD_WORST_H
#define KERNEL_WORKLOAD_WORST_H

#include "kernel/workload_block.h"

struct worst_probe {
	u64 since, interrupted, aside, others, switches;
	unsigned int cpu;
};

struct worst_aside {
	u64 since, before;
};

/* Thread context, before the job: try the clock, forget what was. */
void worst_reset(void);
/* Any context: right before a call, and right after it. what: "allocation", "free". */
struct worst_probe worst_begin(void);
void worst_end(struct worst_probe p, const struct block *b, const char *what);
/* Around what the job does in an interrupt, NMI or exception: no part of a call below it. */
struct worst_aside worst_aside_begin(void);
void worst_aside_end(struct worst_aside a);
/* Thread context: print it; false if a call was longer than mm_call_bound allows. */
bool worst_print(void);

#endif
