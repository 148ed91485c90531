/*
 * trap.c - what happens after entry.asm: counting, context, dispatch.
 *
 * Called from entry.asm only, with interrupts off, on the interrupted stack.
 * Invariant: whoever may be entered between any two instructions (NMI, #DB)
 * leaves CR2, DR6 and DR7 as it found them; DR7 is entry.asm's business.
 */
#include <anyctx/kthread.h>
#include <arch/irq.h>
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "devices.h"
#include "private.h"

struct extable_entry {
	u64 fault, fixup;
};
extern const struct extable_entry __start_extable[], __stop_extable[];

DEFINE_PER_CPU(u64, hw_break_in_nmi);

void trap_entry(struct regs *r);
void trap_nmi(struct regs *r);
void trap_debug(struct regs *r);

static bool fixup(struct regs *r)
{
	for (const struct extable_entry *e = __start_extable; e < __stop_extable; e++) {
		if (e->fault == r->rip) {
			r->rip = e->fixup;
			r->rflags &= ~RFLAGS_RF; /* it was set for the faulting one */
			return true;
		}
	}
	return false;
}

static void trap_exception(struct regs *r)
{
	u64 cr2 = READ_SYSREG(cr2); /* an NMI before this has put it back */

	if (r->vector == VEC_PF || r->vector == VEC_GP)
		if (fixup(r))
			return;
	if ((r->vector == VEC_PF || r->vector == VEC_DF) && stack_is_guard(cr2))
		panic_regs(r, "kernel stack overflow on CPU %u, thread %s: access to the guard page at %lx",
			   smp_processor_id(), task_name(current_task()), cr2);
	this_cpu_add64(irq_counts.other, 1);
	kernel_fatal_exception(r, cr2);
}

static void trap_breakpoint(struct regs *r)
{
	u64 was = context_enter(CTX_DEBUG, CTX_DEPTH_DEBUG);

	this_cpu_add64(irq_counts.breakpoint, 1);
	if (!kernel_debug_trap(r, 0))
		kernel_fatal_exception(r, 0);
	rseq_fixup_debug(r);
	context_leave(was, CTX_DEPTH_DEBUG);
}

static void trap_irq(struct regs *r)
{
	u64 was = context_enter(CTX_IRQ, CTX_DEPTH_IRQ);

	switch (r->vector) {
	case VEC_TIMER:
		this_cpu_add64(irq_counts.timer, 1);
		lapic_eoi();
		kernel_timer_tick(r);
		break;
	case VEC_IRQ_WORK:
		this_cpu_add64(irq_counts.ipi[IPI_IRQ_WORK], 1);
		lapic_eoi();
		kernel_ipi(IPI_IRQ_WORK, r);
		break;
	case VEC_CALL:
		this_cpu_add64(irq_counts.ipi[IPI_CALL], 1);
		lapic_eoi();
		kernel_ipi(IPI_CALL, r);
		break;
	case VEC_RESCHED:
		this_cpu_add64(irq_counts.ipi[IPI_RESCHED], 1);
		lapic_eoi();
		kernel_ipi(IPI_RESCHED, r);
		break;
	case VEC_APIC_ERROR:
		this_cpu_add64(irq_counts.apic_error, 1);
		lapic_error_status();
		lapic_eoi();
		break;
	case VEC_PIC ... VEC_PIC + 15:
		lapic_look_again();
		/* fall through */
	case VEC_SPURIOUS: /* neither wants an EOI */
		this_cpu_add64(irq_counts.spurious, 1);
		break;
	default:
		this_cpu_add64(irq_counts.other, 1);
		lapic_eoi();
		break;
	}
	rseq_fixup(r);
	context_leave(was, CTX_DEPTH_IRQ);
	/* On the stack of the thread that was interrupted, which may go on elsewhere. */
	if (unlikely(this_cpu_read64(need_resched)))
		sched_preempt();
}

void trap_entry(struct regs *r)
{
	if (r->vector >= VEC_PIC)
		trap_irq(r);
	else if (r->vector == VEC_BP)
		trap_breakpoint(r);
	else
		trap_exception(r);
}

/*
 * The interrupted context may be a #PF that has not read CR2 yet, or a #DB that
 * has not read DR6: the handler may do both anew, so both are put back. DR6 is
 * also cleared for the time, as its bits only ever add up.
 */
void trap_nmi(struct regs *r)
{
	u64 cr2 = READ_SYSREG(cr2), dr6 = READ_SYSREG(dr6);
	bool hits = dr6 & DR6_ACTIVE_HIGH;
	bool live = this_cpu_read64(hw_break_in_nmi);
	bool nested = in_nmi();
	u64 was = context_enter(CTX_NMI, CTX_DEPTH_NMI);

	this_cpu_add64(irq_counts.nmi, 1);
	if (nested)
		this_cpu_add64(irq_counts.nmi_nested, 1);
	if (hits)
		WRITE_SYSREG(dr6, DR6_CLEAR);
	if (live)
		hw_break_resume();
	kernel_nmi(r);
	rseq_fixup(r);
	nmi_ack();
	if (live)
		hw_break_pause();
	if (hits)
		WRITE_SYSREG(dr6, dr6);
	context_leave(was, CTX_DEPTH_NMI);
	if (READ_SYSREG(cr2) != cr2)
		WRITE_SYSREG(cr2, cr2);
}

void trap_debug(struct regs *r)
{
	u64 cr2 = READ_SYSREG(cr2), dr6 = READ_SYSREG(dr6);
	u64 was = context_enter(CTX_DEBUG, CTX_DEPTH_DEBUG);

	WRITE_SYSREG(dr6, DR6_CLEAR);
	this_cpu_add64(irq_counts.debug, 1);
	dr6 &= DR6_ACTIVE_HIGH;
	/* An instruction breakpoint comes before its instruction, which would hit it
	 * again for ever: RF lets that one instruction through. */
	if (hw_break_is_exec(dr6))
		r->rflags |= RFLAGS_RF;
	if (!kernel_debug_trap(r, dr6))
		kernel_fatal_exception(r, 0);
	rseq_fixup_debug(r);
	context_leave(was, CTX_DEPTH_DEBUG);
	if (READ_SYSREG(cr2) != cr2)
		WRITE_SYSREG(cr2, cr2);
}
