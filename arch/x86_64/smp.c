/*
 * smp.c - starting the other CPUs, one after the other.
 *
 * CPU 0 puts the stack of the CPU it starts into `ap_stack` and sends INIT and
 * STARTUP; the CPU comes through the trampoline and takes the stack by one exchange
 * with 0: the commit. From there on it is that CPU, and CPU 0 waits for it. If it has
 * not come within START_NS, CPU 0 takes the stack back by the same exchange; only one
 * of the two can have it, so a CPU that comes later finds 0, touches nothing and
 * halts, and INIT puts it back to where it waited.
 *
 * Numbers online are to have no gap, and CPUs are bound to theirs (APIC id, node,
 * stacks) before. So the first CPU that does not come is the end: those above it are
 * not started, and the kernel goes on with the ones below. It is reported.
 *
 * A CPU that goes offline later (kernel/cpu.c) stays where it is, asleep: its stack,
 * tables and local APIC remain as they are, and an NMI wakes it.
 */
#include <arch/local.h>
#include <arch/time.h>
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "devices.h"

#define INIT_US 10000 /* from INIT to STARTUP */
#define AGAIN_NS 200000UL /* from the first STARTUP to the second */
#define START_NS 10000000000UL

/* boot/trampoline.asm */
extern char ap_trampoline[], ap_trampoline_end[];
void __noreturn ap_main(void);

u64 ap_stack; /* offered to the CPU that is being started; 0: taken */

static void *stacks[NR_CPUS];
static unsigned int starting; /* the CPU that takes ap_stack */
static unsigned int online = 1; /* grows by the store of the new CPU */

void smp_prepare(void)
{
	for (unsigned int cpu = 1; cpu < machine.nr_cpus; cpu++)
		stacks[cpu] = stack_alloc();
}

bool smp_all_ours(void)
{
	return !machine.cpus_unused && READ_ONCE(online) == machine.nr_cpus;
}

/* On the new CPU, with its own stack, kernel_cr3 and no descriptor tables yet: an
 * NMI would be the end, but nobody sends one before it is counted. */
void ap_main(void)
{
	unsigned int cpu = starting;

	cpu_tables_load(cpu);
	lapic_cpu_init(cpu);
	__atomic_store_n(&online, cpu + 1, __ATOMIC_RELEASE);
	kernel_secondary(cpu);
}

static bool taken_within(u64 ns)
{
	u64 start = arch_ns();

	while (__atomic_load_n(&ap_stack, __ATOMIC_ACQUIRE)) {
		if (arch_ns() - start > ns)
			return false;
		cpu_relax();
	}
	return true;
}

static void wait_online(unsigned int cpu)
{
	u64 start = arch_ns();

	while (__atomic_load_n(&online, __ATOMIC_ACQUIRE) != cpu + 1) {
		if (arch_ns() - start > START_NS)
			panic("CPU %u started, and stopped on its way into the kernel", cpu);
		cpu_relax();
	}
}

/* INIT has been sent. The second STARTUP is for CPUs that miss the first, as the
 * makers of CPUs ask; one that runs already takes no notice. */
static bool start_one(unsigned int cpu, u64 page)
{
	u32 id = machine.cpus[cpu].apic_id, startup = ICR_STARTUP | (u32)(page >> PAGE_SHIFT);

	starting = cpu;
	__atomic_store_n(&ap_stack, (u64)stacks[cpu], __ATOMIC_RELEASE);
	lapic_send(id, startup);
	if (!taken_within(AGAIN_NS)) {
		lapic_send(id, startup);
		taken_within(START_NS);
	}
	if (__atomic_exchange_n(&ap_stack, 0, __ATOMIC_ACQ_REL)) {
		lapic_send(id, ICR_INIT);
		return false;
	}
	wait_online(cpu);
	return true;
}

/* The trampoline's words are at their physical addresses (linker.ld). */
static void trampoline_copy(u64 page)
{
	memcpy(phys_to_virt(page), phys_to_virt((u64)ap_trampoline),
	       (u64)(ap_trampoline_end - ap_trampoline));
}

/*
 * Interrupts wait until the instruction behind the sti has begun, so none is served between
 * the caller's look and the hlt. But an NMI or a single step may come there, and its return
 * ends that: what then comes before the hlt sends us behind it, as in a restartable sequence.
 */
void arch_idle(void)
{
	__asm__ goto volatile(
		"1:\n\t"
		"sti\n\t"
		"hlt\n"
		"2:\n\t"
		RSEQ_ENTRY
		: : : "memory" : restart);
restart:
	after_sequence();
}

/* A restartable sequence, so that an NMI behind the look sends it back. */
void arch_park(const u64 *word, u64 value)
{
	__asm__ goto volatile(
		"1:\n\t"
		"cmpq %[value], %[word]\n\t"
		"jne 2f\n\t"
		"hlt\n"
		"2:\n\t"
		RSEQ_ENTRY
		: : [word] "m"(*word), [value] "r"(value) : "memory", "cc" : restart);
restart:
	after_sequence();
}

unsigned int arch_start_cpus(void)
{
	unsigned int cpu, n = machine.nr_cpus;
	u64 page = low_page();

	if (CONFIG_UP || n == 1)
		return 1;
	if (!page) {
		printk("smp: no free page below 640 KiB to start CPUs by: only CPU 0 of %u\n", n);
		return 1;
	}
	trampoline_copy(page);
	for (cpu = 1; cpu < n; cpu++)
		lapic_send(machine.cpus[cpu].apic_id, ICR_INIT);
	arch_udelay(INIT_US);
	for (cpu = 1; cpu < n; cpu++)
		if (!start_one(cpu, page))
			break;
	if (cpu < n)
		printk("smp: CPU %u (APIC id %u) did not start: going on with %u of %u CPUs\n", cpu,
		       machine.cpus[cpu].apic_id, cpu, n);
	return cpu;
}
