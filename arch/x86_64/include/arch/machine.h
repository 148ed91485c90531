/*
 * arch/machine.h - the machine as the boot loader and the ACPI tables describe
 * it: memory, CPUs, NUMA nodes; and the ways to end it. All of it is filled in
 * by CPU 0 before the first other CPU starts, and constant after.
 */
#ifndef ARCH_MACHINE_H
#define ARCH_MACHINE_H

#include <anyctx/types.h>
#include <arch/layout.h>

#define MAX_MEM_RANGES 128

/* A run of usable RAM: page aligned, sorted, disjoint, without the kernel
 * image, the boot information and what the early page tables took. */
struct mem_range {
	u64 base, size;
	int node;
};

extern struct mem_range mem_ranges[MAX_MEM_RANGES];
extern unsigned int nr_mem_ranges;

static inline void *phys_to_virt(u64 pa)
{
	return (void *)(DIRECT_MAP_BASE + pa);
}

static inline u64 virt_to_phys(const void *va) /* direct map addresses only */
{
	return (u64)va - DIRECT_MAP_BASE;
}

/*
 * ACPI (CPUs, NUMA nodes into mem_ranges, I/O APICs, HPET) and the per-CPU
 * areas of all CPUs. CPU 0, before mm_init().
 */
void arch_machine_init(void);
/* Local APIC of this CPU, I/O APICs, clocks calibrated. CPU 0, after mm_init(). */
void arch_irq_init(void);

/* CPUs found (enabled and usable, at most NR_CPUS), node of each, distances. */
unsigned int arch_nr_cpus_found(void);
int arch_cpu_node(unsigned int cpu);
unsigned int arch_nr_nodes(void);
unsigned int arch_node_distance(int a, int b); /* 10: itself; 20: unknown other */

/* The kernel command line: fw_cfg opt/anyctx/cmdline if present, else GRUB's. */
const char *arch_cmdline(void);

/* The random number the boot could find (RDRAND, TSC), for mm's cookies. */
u64 arch_boot_random(void);

/* Leave QEMU through isa-debug-exit; on other machines, halt. */
#define EXIT_PASS 0x10 /* QEMU's status: 33 */
#define EXIT_FAIL 0x11 /* 35 */
#define EXIT_PANIC 0x12 /* 37 */
void __noreturn arch_exit(int code);
void __noreturn arch_reboot(void);

/* A line or two about the machine, for the boot log (CPU name, features). */
void arch_print_machine(void);

#endif
