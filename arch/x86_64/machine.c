/*
 * machine.c - the machine as the ACPI tables describe it, made ready: CPUs and
 * their per-CPU areas, nodes of CPUs and memory, device registers mapped.
 *
 * Invariant: `machine` is written here, by CPU 0 before there is a second one, and
 * constant from then on; so the questions may be asked in any context.
 */
#include <arch/machine.h>
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

/* ---- nodes of memory ---- */

/* The node of the memory at pa; and *end, up to which that holds, is moved down to
 * the nearest border. */
static int node_at(u64 pa, u64 *end)
{
	int node = 0;

	for (unsigned int i = 0; i < machine.nr_mem; i++) {
		const struct acpi_mem *m = &machine.mem[i];
		u64 border = m->base > pa ? m->base : m->end;

		if (pa >= m->base && pa < m->end)
			node = m->node;
		if (border > pa && border < *end)
			*end = border;
	}
	return node;
}

static void range_insert_after(unsigned int i, u64 base, u64 size)
{
	for (unsigned int j = nr_mem_ranges++; j > i + 1; j--)
		mem_ranges[j] = mem_ranges[j - 1];
	mem_ranges[i + 1] = (struct mem_range){ .base = base, .size = size };
}

/*
 * Set the node of range i, and cut it at the first border in it; what is behind is
 * the next range. Borders are rounded up to pages. With no slot left the range stays
 * whole, on the node that it begins on: no memory is lost for that.
 */
static void range_set_node(unsigned int i)
{
	struct mem_range *r = &mem_ranges[i];
	u64 end = r->base + r->size, border = end;

	r->node = node_at(r->base, &border);
	border = (border + PAGE_SIZE - 1) & PAGE_MASK;
	if (border >= end)
		return;
	if (nr_mem_ranges == MAX_MEM_RANGES) {
		printk("memory: %lx to %lx counts to node %d: more than %u ranges\n", r->base, end,
		       r->node, MAX_MEM_RANGES);
		return;
	}
	r->size = border - r->base;
	range_insert_after(i, border, end - border);
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
	lapic_find();
	acpi_defaults(&machine, lapic_id(), lapic_max_id());
	acpi_read(&machine);
	lapic_check_base(machine.lapic_base);
	if (machine.cpus_unused)
		printk("machine: %u CPUs, %u more left unused\n", machine.nr_cpus, machine.cpus_unused);
	for (unsigned int i = 0; i < nr_mem_ranges; i++) /* it grows as ranges are cut */
		range_set_node(i);
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
