/*
 * lapic.c - each CPU's local interrupt controller: sending, end of interrupt,
 * local inputs. Two ways to its registers: memory (xAPIC), or MSRs (x2APIC). The way
 * is chosen once, before there is a second CPU: the one that the firmware has left on
 * (with APIC ids above 254 that is x2APIC), or x2APIC if the command line asks for it.
 * Not always where there is one, since devices reach at most eight x2APICs at once,
 * and QEMU with -icount ends at the first x2APIC register that has to do with time.
 *
 * Sending in xAPIC mode takes two stores, destination and then command, and an NMI
 * between them may itself send. Invariant: at every instruction outside of
 * icr_send_mmio the controller is idle, and whoever interrupts an icr_send_mmio
 * leaves the destination as it found it, the controller idle. So an interrupted
 * sender, wherever it was, goes on as if alone; nobody waits for anybody but the
 * hardware, and for that a bounded time. In x2APIC mode a send is one instruction.
 *
 * Registers are this CPU's own. lapic_send, arch_send_ipi, arch_send_nmi: any
 * context. The rest: this CPU, thread or interrupt context.
 */
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "devices.h"
#include "lapic.h"

#define BASE_ENABLE (1UL << 11)
#define BASE_X2APIC (1UL << 10)
#define BASE_ADDRESS 0x000ffffffffff000UL
#define CPUID_X2APIC (1u << 21)
#define SVR_ENABLE 0x100u
#define ICR_BUSY (1u << 12)
#define IDLE_POLLS 100000
#define XAPIC_MAX_ID 254 /* 255 is everyone */

static s64 x2apic_wanted;
KPARAM_INT(x2apic_wanted, "x2apic", 0, 1, "1: use the local APICs' x2APIC mode if there is one");

/* Constant after lapic_find. */
bool lapic_x2apic;
volatile u8 *lapic_mmio;

static u64 mmio_base(void)
{
	return rdmsr(MSR_APIC_BASE) & BASE_ADDRESS;
}

bool lapic_all_cpus(u8 *dest, bool *logical)
{
	*dest = 0xff;
	*logical = lapic_x2apic;
	if (!lapic_x2apic)
		return smp_all_ours();
	*dest = 0;
	for (unsigned int cpu = 0; cpu < machine.nr_cpus; cpu++) {
		if (machine.cpus[cpu].apic_id >= 8)
			return false;
		*dest |= (u8)(1u << machine.cpus[cpu].apic_id);
	}
	return true;
}

static void enable(void)
{
	u64 base = rdmsr(MSR_APIC_BASE) | BASE_ENABLE;

	wrmsr(MSR_APIC_BASE, base);
	if (lapic_x2apic) /* from off to x2APIC in one step is not allowed */
		wrmsr(MSR_APIC_BASE, base | BASE_X2APIC);
}

void lapic_find(void)
{
	lapic_x2apic = rdmsr(MSR_APIC_BASE) & BASE_X2APIC ||
		       (x2apic_wanted && cpuid(1, 0).ecx & CPUID_X2APIC);
	if (!lapic_x2apic)
		lapic_mmio = arch_map_mmio(mmio_base(), PAGE_SIZE);
	enable();
}

void lapic_check_base(u64 from_tables)
{
	if (!lapic_x2apic && from_tables && from_tables != mmio_base())
		printk("acpi: local APIC at %lx in the tables, at %lx in the CPU: using the CPU's\n",
		       from_tables, mmio_base());
}

u32 lapic_max_id(void)
{
	return lapic_x2apic ? 0xfffffffe : XAPIC_MAX_ID;
}

u32 lapic_id(void)
{
	u32 id = lapic_read(LAPIC_ID);

	return lapic_x2apic ? id : id >> 24;
}

/* ---- sending ---- */

static void icr_wait_idle(void)
{
	for (unsigned int i = 0; i < IDLE_POLLS && lapic_read(LAPIC_ICR) & ICR_BUSY; i++)
		cpu_relax();
}

/* The two words are the CPU's: an NMI in between puts the destination back as it was. A
 * thread that another replaces there would not, and might go on elsewhere, so interrupts
 * are off. */
static void icr_send_mmio(u32 apic_id, u32 command)
{
	u64 flags = arch_irq_save();
	u32 interrupted = lapic_read(LAPIC_ICR_HIGH);

	lapic_write(LAPIC_ICR_HIGH, apic_id << 24);
	lapic_write(LAPIC_ICR, command); /* the commit */
	icr_wait_idle();
	lapic_write(LAPIC_ICR_HIGH, interrupted);
	arch_irq_restore(flags);
}

void lapic_send(u32 apic_id, u32 command)
{
	/* What was stored before is to be seen by who gets the interrupt, and a write
	 * of an x2APIC register does not wait for earlier stores by itself. */
	__asm__ volatile("mfence; lfence" : : : "memory");
	if (lapic_x2apic)
		wrmsr(lapic_msr(LAPIC_ICR), (u64)apic_id << 32 | command);
	else
		icr_send_mmio(apic_id, command);
}

void arch_send_ipi(unsigned int cpu, enum ipi what)
{
	static const u8 vectors[NR_IPI] = { [IPI_IRQ_WORK] = VEC_IRQ_WORK, [IPI_CALL] = VEC_CALL,
					     [IPI_RESCHED] = VEC_RESCHED };

	lapic_send(machine.cpus[cpu].apic_id, ICR_FIXED | vectors[what]);
}

void arch_send_nmi(unsigned int cpu)
{
	lapic_send(machine.cpus[cpu].apic_id, ICR_NMI);
}

/* ---- receiving ---- */

void lapic_eoi(void)
{
	lapic_write(LAPIC_EOI, 0);
}

/*
 * With the legacy timer at LINT0 as an NMI, QEMU hands out the legacy controller's
 * vector when a local interrupt is due, and forgets that it is: it would lie there
 * until the next one. Any store to the task priority makes it look what is due.
 */
void lapic_look_again(void)
{
	lapic_write(LAPIC_TPR, 0);
}

u32 lapic_error_status(void)
{
	lapic_write(LAPIC_ESR, 0); /* latches what has come since the last time */
	return lapic_read(LAPIC_ESR);
}

static unsigned int highest_lvt(void)
{
	return lapic_read(LAPIC_VERSION) >> 16 & 0xff;
}

static bool has_perf_lvt(void)
{
	return highest_lvt() >= 4;
}

/* What the tables say of LINT0 or LINT1 of this CPU. */
static u32 lint_at_rest(unsigned int lint)
{
	const struct acpi_cpu *c = &machine.cpus[smp_processor_id()];

	if (!(c->nmi_lints >> lint & 1))
		return LVT_MASKED;
	return LVT_NMI | (ACPI_POLARITY(c->lint_flags[lint]) == ACPI_ACTIVE_LOW ? LVT_ACTIVE_LOW : 0);
}

void lapic_lint0_nmi(bool on)
{
	lapic_write(LAPIC_LVT_LINT0, on ? LVT_NMI : lint_at_rest(0));
}

bool lapic_perf_nmi(bool on)
{
	if (!has_perf_lvt())
		return false;
	lapic_write(LAPIC_LVT_PERF, on ? LVT_NMI : LVT_MASKED);
	return true;
}

/* The firmware may have left anything in them. */
static void mask_all(void)
{
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT0, LVT_MASKED);
	lapic_write(LAPIC_LVT_LINT1, LVT_MASKED);
	lapic_write(LAPIC_LVT_ERROR, LVT_MASKED);
	lapic_perf_nmi(false);
	if (highest_lvt() >= 5)
		lapic_write(LAPIC_LVT_THERMAL, LVT_MASKED);
}

void lapic_cpu_init(unsigned int cpu)
{
	u32 id;

	enable();
	id = lapic_id();
	if (id != machine.cpus[cpu].apic_id)
		panic("CPU %u has APIC id %u, and was started as %u", cpu, id, machine.cpus[cpu].apic_id);
	mask_all();
	lapic_write(LAPIC_TPR, 0);
	lapic_write(LAPIC_SVR, SVR_ENABLE | VEC_SPURIOUS); /* before this nothing can be unmasked */
	lapic_error_status();
	lapic_write(LAPIC_LVT_ERROR, VEC_APIC_ERROR);
	lapic_write(LAPIC_LVT_LINT0, lint_at_rest(0));
	lapic_write(LAPIC_LVT_LINT1, lint_at_rest(1));
	lapic_timer_cpu_init();
}
