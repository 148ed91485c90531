/*
 * deliver_now.c - interrupts and NMIs are served where their signals arrive: at any
 * instruction. (The other way: deliver_later.c.)
 *
 * Invariant: irq_off is as it was when a handler has returned, and with it clear no
 * event is left without a signal (arch/interrupts.h). The signal of interrupts is
 * blocked in both, so what arch_irq_enable asks for here comes after the return.
 */
#include "host.h"

/* With interrupts off the event stays, for whoever enables them. */
void deliver_irq(ucontext_t *uc)
{
	struct regs r;

	if (arch_irqs_disabled())
		return;
	regs_read(&r, uc, false);
	arch_irq_disable();
	irq_serve(&r);
	rseq_fixup(&r);
	regs_write(&r, uc);
	arch_irq_enable();
}

void deliver_nmi(ucontext_t *uc)
{
	bool irqs_off = arch_irqs_disabled();
	struct regs r;

	if (sigismember(&uc->uc_sigmask, SIG_IRQ))
		this_cpu_write64(irq_frame_stale, 1);
	regs_read(&r, uc, irqs_off);
	arch_irq_disable();
	nmi_serve(&r);
	regs_write(&r, uc);
	if (!irqs_off)
		arch_irq_enable();
}

void irq_replay(void)
{
	host_kill(smp_processor_id(), SIG_IRQ);
}

bool deliver_breakpoints(void)
{
	return true;
}

bool deliver_waits(void)
{
	return this_cpu_read64(irq_pending);
}
