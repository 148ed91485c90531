/*
 * arch/interrupts.h (hosted) - this CPU's interrupts on and off, without a system
 * call, and waiting with them.
 *
 * Invariant: while irq_off is set no interrupt is served on this CPU; the signal
 * that brings one leaves its bit in irq_pending and returns. Whoever clears irq_off
 * looks at irq_pending after that, and asks for the signal again. A handler runs on
 * the thread that it interrupts, so it comes before the store (and has left the
 * bit), or after it (and finds irq_off clear): no bit is left without a signal. Each
 * change is one instruction. Any context; handlers leave irq_off as they found it.
 */
#ifndef ARCH_INTERRUPTS_H
#define ARCH_INTERRUPTS_H

#include <anyctx/percpu.h>

#define RFLAGS_IF (1UL << 9)

DECLARE_PER_CPU(u64, irq_off);
DECLARE_PER_CPU(u64, irq_pending); /* bits of enum host_event */

/* Have what is pending served now that interrupts are on. */
void irq_replay(void);

static __always_inline void arch_irq_disable(void)
{
	this_cpu_write64(irq_off, 1);
	barrier();
}

static __always_inline void arch_irq_enable(void)
{
	barrier();
	this_cpu_write64(irq_off, 0);
	if (unlikely(this_cpu_read64(irq_pending)))
		irq_replay();
}

static __always_inline bool arch_irqs_disabled(void)
{
	return this_cpu_read64(irq_off);
}

/* Who comes in between the two has put irq_off back. */
static __always_inline u64 arch_irq_save(void)
{
	u64 flags = arch_irqs_disabled() ? 0 : RFLAGS_IF;

	arch_irq_disable();
	return flags;
}

static __always_inline void arch_irq_restore(u64 flags)
{
	if (flags & RFLAGS_IF)
		arch_irq_enable();
}

/* In a loop that waits for another CPU; its thread may need this processor. */
void cpu_relax(void);
/* Interrupts on and sleep until the next one. */
void arch_idle(void);
/* Interrupts off, and nothing but NMIs for ever. */
void __noreturn arch_stop(void);

#endif
