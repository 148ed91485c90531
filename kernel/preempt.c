/*
 * preempt.c - the two words of each CPU that say whether its thread may be put aside
 * (preempt.h). Written by their own CPU, one instruction each. Any context.
 */
#include <anyctx/preempt.h>
#include <arch/cpu.h>
#include "kernel/sched.h"

DEFINE_PER_CPU(u64, preempt_count);
DEFINE_PER_CPU(u64, need_resched);

/* With interrupts off it is left to the interrupt that asked, or to the next tick. */
void preempt_check(void)
{
	if (arch_irqs_disabled())
		return;
	arch_irq_disable();
	sched_preempt();
	arch_irq_enable();
}
