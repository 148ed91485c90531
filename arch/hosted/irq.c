/*
 * irq.c - interrupts, NMIs and debug exceptions, from the handlers into the kernel;
 * sending them; and waiting for them.
 *
 * Invariant: an event's bit is in its CPU's irq_pending from before the signal is
 * sent until irq_serve takes all bits by one exchange, before it calls the kernel: so
 * an event that comes while its function runs makes it run again. A bit that stays is
 * followed by a signal (arch/interrupts.h). Any context.
 */
#include <arch/debug.h>
#include "host.h"
#include "kernel/context.h"
#include "kernel/panic.h"

#define RELAXES 64 /* one in so many yields the processor */

DEFINE_PER_CPU(struct irq_counts, irq_counts);
DEFINE_PER_CPU(u64, irq_off);
DEFINE_PER_CPU(u64, irq_pending);
static DEFINE_PER_CPU(u64, relaxes);

/* A blocked signal is an NMI that is kept out. */
void arch_nmi_hold(const u64 *word)
{
	signals_block(true);
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE))
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
	signals_block(false);
}

/* ---- into the kernel ---- */

static void serve_event(unsigned int event, struct regs *r)
{
	if (event == EV_TICK) {
		this_cpu_add64(irq_counts.timer, 1);
		kernel_timer_tick(r);
	} else {
		this_cpu_add64(irq_counts.ipi[event], 1);
		kernel_ipi((enum ipi)event, r);
	}
}

void irq_serve(struct regs *r)
{
	u64 events = __atomic_exchange_n(this_cpu_ptr(irq_pending), 0, __ATOMIC_ACQUIRE);

	for (unsigned int e = 0; e < NR_EVENT; e++) {
		u64 was;

		if (!(events >> e & 1))
			continue;
		was = context_enter(CTX_IRQ, CTX_DEPTH_IRQ);
		serve_event(e, r);
		context_leave(was, CTX_DEPTH_IRQ);
	}
}

void nmi_serve(struct regs *r)
{
	bool nested = in_nmi();
	u64 was = context_enter(CTX_NMI, CTX_DEPTH_NMI);

	this_cpu_add64(irq_counts.nmi, 1);
	if (nested)
		this_cpu_add64(irq_counts.nmi_nested, 1);
	kernel_nmi(r);
	rseq_fixup(r);
	context_leave(was, CTX_DEPTH_NMI);
}

void trap_serve(struct regs *r, bool step)
{
	u64 was = context_enter(CTX_DEBUG, CTX_DEPTH_DEBUG);

	if (step)
		this_cpu_add64(irq_counts.debug, 1);
	else
		this_cpu_add64(irq_counts.breakpoint, 1);
	if (!kernel_debug_trap(r, step ? DR6_SINGLE_STEP : 0))
		kernel_fatal_exception(r, 0);
	rseq_fixup_debug(r);
	context_leave(was, CTX_DEPTH_DEBUG);
}

/* ---- sending ---- */

static bool post(unsigned int cpu, unsigned int event)
{
	u64 bit = 1UL << event;

	return !(__atomic_fetch_or(per_cpu_ptr(irq_pending, cpu), bit, __ATOMIC_SEQ_CST) & bit);
}

void irq_post_here(enum host_event e)
{
	post(smp_processor_id(), e);
}

/* To oneself with interrupts off: who enables them finds the bit. */
void arch_send_ipi(unsigned int cpu, enum ipi what)
{
	post(cpu, what);
	if (cpu != smp_processor_id() || !arch_irqs_disabled())
		host_kill(cpu, SIG_IRQ);
}

void arch_send_nmi(unsigned int cpu)
{
	host_kill(cpu, SIG_NMI);
}

/* ---- waiting ---- */

void cpu_relax(void)
{
	this_cpu_add64(relaxes, 1);
	if (this_cpu_read64(relaxes) % RELAXES)
		__asm__ volatile("pause" : : : "memory");
	else
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
}

/*
 * Signals are blocked for real between the look at what waits and the sleep: one that
 * comes then ends the sleep at once. Its handler runs in signals_wait.
 */
void arch_idle(void)
{
	signals_block(true);
	this_cpu_write64(irq_off, 0);
	if (!deliver_waits())
		signals_wait();
	signals_block(false);
	arch_irq_enable();
}

/* As in arch_idle; interrupts stay blocked. */
void arch_park(const u64 *word, u64 value)
{
	signals_block(true);
	if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
		signals_wait_nmi();
	signals_block(false);
}

void arch_stop(void)
{
	arch_irq_disable();
	for (;;)
		host_syscall(SYS_pause, 0, 0, 0, 0);
}
