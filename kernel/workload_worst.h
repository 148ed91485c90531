/*
 * workload_worst.h - the longest of the main job's nolock calls, in instructions.
 *
 * Only where the clock counts instructions and one CPU has it for itself, and only of
 * calls that nothing interrupted: so the figure is that of the call alone.
 */
#ifndef KERNEL_WORKLOAD_WORST_H
#define KERNEL_WORKLOAD_WORST_H

#include "kernel/workload_block.h"

struct worst_probe {
	u64 since, interrupted;
};

/* Thread context, before the job: try the clock, forget what was. */
void worst_reset(void);
/* Any context: right before a call, and right after it. what: "allocation", "free". */
struct worst_probe worst_begin(void);
void worst_end(struct worst_probe p, const struct block *b, const char *what);
/* Thread context: print it; false if a call was longer than mm_call_bound allows. */
bool worst_print(void);

#endif
