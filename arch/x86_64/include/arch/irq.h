/*
 * arch/irq.h - interrupts between CPUs, timers and NMI sources; and the calls
 * that the entry code makes upwards into kernel/.
 */
#ifndef ARCH_IRQ_H
#define ARCH_IRQ_H

#include <anyctx/percpu.h>
#include <arch/cpu.h>

enum ipi {
	IPI_IRQ_WORK, /* serve this CPU's irq_work list */
	IPI_CALL,     /* serve this CPU's cross-call list */
	IPI_RESCHED,  /* threads have come to this CPU, or another may have to run */
	NR_IPI,
};

/* Any context, any CPU, also to oneself. */
void arch_send_ipi(unsigned int cpu, enum ipi what);
/* An NMI to a CPU (also to oneself); any context. */
void arch_send_nmi(unsigned int cpu);
/* For tests: an NMI comes to this CPU that does not end, nor let others in, until another CPU
 * stores 0 to *word. Returns after that. Thread context, one CPU at a time. */
void arch_nmi_hold(const u64 *word);

/* The local APIC timer of this CPU: periodic, hz per second; 0 stops it. */
void arch_timer_set(unsigned int hz);
/* One shot NMI from this CPU's local APIC timer after `count` bus ticks
 * (divider 1); the periodic tick is lost until arch_timer_set is called. */
void arch_timer_nmi_oneshot(u32 count);
void arch_timer_cancel(void);

/*
 * Sources of periodic NMIs to all CPUs at once. start returns false if this
 * machine does not have the source.
 */
enum nmi_source {
	NMI_SRC_PIT_LINT0,  /* PIT through the 8259 and LINT0 in NMI mode */
	NMI_SRC_IOAPIC_PIT, /* PIT through an I/O APIC entry in NMI mode, broadcast */
	NMI_SRC_HPET,       /* HPET through the I/O APIC in NMI mode */
	NMI_SRC_PERFCTR,    /* performance counter LVT (per CPU) */
	NR_NMI_SRC,
};
bool arch_nmi_source_start(enum nmi_source src, unsigned int hz);
void arch_nmi_source_stop(enum nmi_source src);
/* The CPU-local part (LINT0 or LVT entry), called on each CPU; true: present. */
bool arch_nmi_source_enable_cpu(enum nmi_source src, bool on);
const char *arch_nmi_source_name(enum nmi_source src);

/* Start all other CPUs; returns how many are online in all. Each calls
 * kernel_secondary(cpu) on its own stack with interrupts off. */
unsigned int arch_start_cpus(void);

/* Interrupts are off, and stay so: sleep until an NMI, if *word is this value. An NMI that
 * comes between the look and the sleep ends it as well. May also return without one. */
void arch_park(const u64 *word, u64 value);

/* Counts for the `irqs` command and the table at the end; per CPU. */
struct irq_counts {
	u64 timer, ipi[NR_IPI], nmi, spurious, apic_error, debug, breakpoint, other;
	u64 nmi_nested; /* NMIs that arrived while this CPU was in an NMI */
};
DECLARE_PER_CPU(struct irq_counts, irq_counts);

/* ---- called by the entry code ---- */
void kernel_timer_tick(struct regs *r);           /* interrupts off */
void kernel_ipi(enum ipi what, struct regs *r);   /* interrupts off */
void kernel_nmi(struct regs *r);                  /* may be nested in anything */
/* #DB and #BP: true if handled; dr6 is 0 for #BP. rip is after the int3. */
bool kernel_debug_trap(struct regs *r, u64 dr6);
/* Any exception that nobody handled: reports and does not return. */
void __noreturn kernel_fatal_exception(struct regs *r, u64 cr2);
void __noreturn kernel_secondary(unsigned int cpu);
void __noreturn kernel_main(void);

#endif
