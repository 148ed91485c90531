/*
 * deliver_later.c - interrupts and NMIs are served at the next basic block of the
 * kernel's code, for ThreadSanitizer: its runtime may not be entered while it is in
 * the middle of a call, so a handler that runs at any instruction could not be watched.
 *
 * Invariant: a handler only leaves a bit (irq_pending, nmi_waits). The compiler puts a
 * call to __sanitizer_cov_trace_pc at the start of each basic block, never inside the
 * runtime nor in a restartable sequence; that serves what waits, as a call in the
 * interrupted code. NMIs do not nest. This file is compiled without the sanitizer.
 */
#include "host.h"

static DEFINE_PER_CPU(u64, nmi_waits);
static DEFINE_PER_CPU(u64, nmi_inside);

void __sanitizer_cov_trace_pc(void);

void deliver_irq(ucontext_t *uc)
{
	(void)uc; /* the bit is in irq_pending */
}

void deliver_nmi(ucontext_t *uc)
{
	(void)uc;
	this_cpu_write64(nmi_waits, 1);
}

/* Not the function that all basic blocks call, also those that set a breakpoint. */
bool deliver_breakpoints(void)
{
	return false;
}

bool deliver_waits(void)
{
	return this_cpu_read64(irq_pending) || this_cpu_read64(nmi_waits);
}

static bool nmi_due(void)
{
	return this_cpu_read64(nmi_waits) && !this_cpu_read64(nmi_inside);
}

static void serve_nmi(struct regs *r)
{
	u64 irqs_off = this_cpu_read64(irq_off);

	this_cpu_write64(nmi_waits, 0);
	this_cpu_write64(nmi_inside, 1);
	arch_irq_disable();
	nmi_serve(r);
	this_cpu_write64(irq_off, irqs_off);
	this_cpu_write64(nmi_inside, 0);
}

static void serve_irqs(struct regs *r)
{
	arch_irq_disable();
	irq_serve(r);
	this_cpu_write64(irq_off, 0);
}

/* A hook wants the interrupted code to single-step: it begins on the way back. */
static void step_from_here(void)
{
	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(RFLAGS_TF) : "memory", "cc");
}

static __noinline void serve_all(u64 pc, u64 frame)
{
	struct regs r = { .rip = pc, .rbp = frame, .rsp = frame };

	r.rflags = arch_irqs_disabled() ? 0 : RFLAGS_IF;
	while (nmi_due())
		serve_nmi(&r);
	while (!arch_irqs_disabled() && this_cpu_read64(irq_pending))
		serve_irqs(&r);
	if (r.rflags & RFLAGS_TF)
		step_from_here();
}

void __sanitizer_cov_trace_pc(void)
{
	if (nmi_due() || (this_cpu_read64(irq_pending) && !arch_irqs_disabled()))
		serve_all((u64)__builtin_return_address(0), (u64)__builtin_frame_address(0));
}

void irq_replay(void)
{
	serve_all((u64)__builtin_return_address(0), (u64)__builtin_frame_address(0));
}
