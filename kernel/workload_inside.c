/*
 * workload_inside.c - was the allocator interrupted? (workload_inside.h)
 *
 * By addresses: the interrupted instruction, then the return addresses below it, across
 * the frames of interrupts. A function at the top of a frame that has not set up its own
 * yet hides its caller, and a leaf that an interrupt has interrupted is not to be seen
 * from an NMI in that: so the answer may be OUTSIDE where it was not, never the other way.
 */
#include "kernel/workload_inside.h"
#include <arch/debug.h>
#include "mm/mm.h"

#define FRAMES 24

enum inside allocator_interrupted(const struct regs *r)
{
	u64 at[FRAMES];
	unsigned int n;

	if (mm_in_text(r->rip))
		return INSIDE;
	n = arch_backtrace(r->rip, r->rbp, at, FRAMES);
	for (unsigned int i = 1; i < n; i++)
		if (mm_in_text(at[i]))
			return INSIDE_BELOW;
	return OUTSIDE;
}
