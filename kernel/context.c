/*
 * context.c - the per-CPU words that say which context a CPU is in (context.h).
 * Written by the entry code only, read by anyone.
 */
#include "kernel/context.h"

DEFINE_PER_CPU(u64, context_depth);
DEFINE_PER_CPU(u64, context_now);

const char *context_name(enum context c)
{
	static const char *const names[NR_CONTEXT] = { "thread", "irq", "nmi", "debug" };

	return c < NR_CONTEXT ? names[c] : "unknown";
}
