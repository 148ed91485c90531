/*
 * machine.c - the machine as the ACPI tables describe it, made ready: CPUs and
 * their per-CPU areas, nodes of CPUs and memory, device registers mapped.
 *
 * Invariant: `machine` is written here, by CPU 0 before there is a second one, and
 * constant from then on; so the questions may be asked in any context.
 */
#include "kernel/printk.h"
#include "devices.h"
#include "private.h"

#define CPUID_ADDRESS_BITS 0x80000008u
#define LEAST_ADDRESS_BITS 36

struct acpi machine;

unsigned int arch_nr_cpus_found(void)
{
	return machine.nr_cpus;
}

int arch_cpu_node(unsigned int cpu)
{
	return machine.cpus[cpu].node;
}

unsigned int arch_nr_nodes(void)
{
	return machine.nr_nodes;
}

unsigned int arch_node_distance(int a, int b)
{
	return machine.distance[a][b];
}

static u64 address_end(void)
{
	unsigned int bits = LEAST_ADDRESS_BITS;

	if (cpuid(0x80000000, 0).eax >= CPUID_ADDRESS_BITS)
		bits = cpuid(CPUID_ADDRESS_BITS, 0).eax & 0xff;
	return 1UL << (bits > 52 ? 52 : bits);
}

bool machine_device_at(u64 pa, u64 size)
{
	u64 end = address_end();

	if (pa >= end || size > end - pa)
		return false;
	for (unsigned int i = 0; i < ram_spans.n; i++)
		if (pa < ram_spans.s[i].end && ram_spans.s[i].base < pa + size)
			return false;
	return true;
}

static void print_nodes(void)
{
	for (unsigned int node = 0; node < machine.nr_nodes; node++) {
		unsigned int cpus = 0;
		u64 bytes = 0;

		for (unsigned int cpu = 0; cpu < machine.nr_cpus; cpu++)
			cpus += machine.cpus[cpu].node == (int)node;
		for (unsigned int i = 0; i < nr_mem_ranges; i++)
			bytes += mem_ranges[i].node == (int)node ? mem_ranges[i].size : 0;
		printk("node %u: %u CPUs, %lu MiB\n", node, cpus, bytes >> 20);
	}
}

void arch_machine_init(void)
{
	unsigned int whole;

	lapic_find();
	acpi_defaults(&machine, lapic_id(), lapic_max_id());
	acpi_read(&machine);
	lapic_check_base(machine.lapic_base);
	if (machine.cpus_unused)
		printk("machine: %u CPUs, %u more left unused\n", machine.nr_cpus, machine.cpus_unused);
	whole = ranges_set_nodes(mem_ranges, &nr_mem_ranges, &machine);
	if (whole)
		printk("memory: %u ranges of two nodes count to one: there are %u already\n", whole,
		       MAX_MEM_RANGES);
	if (machine.nr_nodes > 1)
		print_nodes();
	ioapic_find();
	hpet_find();
	for (unsigned int cpu = 1; cpu < machine.nr_cpus; cpu++)
		cpu_prepare(cpu);
	smp_prepare();
}

void arch_irq_init(void)
{
	pic_init();
	lapic_cpu_init(0);
	ioapic_init();
	pit_init();
	hpet_init();
	time_calibrate();
}
