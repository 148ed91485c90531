/*
 * workload_inside.h - was the allocator interrupted?
 */
#ifndef KERNEL_WORKLOAD_INSIDE_H
#define KERNEL_WORKLOAD_INSIDE_H

#include <arch/cpu.h>

enum inside {
	OUTSIDE,
	INSIDE_BELOW, /* a function of mm/ is on the interrupted stack: it waits for what it called, or was itself interrupted */
	INSIDE,       /* the interrupted instruction is of mm/ */
};

/* What r, the registers of an interruption, has interrupted. Any context. */
enum inside allocator_interrupted(const struct regs *r);

#endif
