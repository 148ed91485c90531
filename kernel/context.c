/*
 * context.c - the per-CPU words that say which context a CPU is in (context.h).
 * Written by the entry code only, read by anyone.
 */
#include "kernel/context.h"
#include <arch/cpu.h>
#include "kernel/panic.h"

DEFINE_PER_CPU(u64, context_depth);
DEFINE_PER_CPU(u64, context_now);

const char *context_name(enum context c)
{
	static const char *const names[NR_CONTEXT] = { "thread", "irq", "nmi", "debug" };

	return c < NR_CONTEXT ? names[c] : "unknown";
}

void check_in_thread(const char *call)
{
	if (unlikely(!in_thread()))
		panic("%s in an interrupt or exception", call);
}

void check_may_wait(const char *call)
{
	check_in_thread(call);
	if (unlikely(arch_irqs_disabled()))
		panic("%s in a thread with interrupts off: it would wait for CPUs that may wait for this one", call);
}
