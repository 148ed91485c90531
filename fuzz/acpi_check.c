/*
 * acpi_check.c - see acpi_check.h; and the memory that the tables tell of, cut at the
 * borders of nodes by the kernel's arch/x86_64/nodes.c.
 */
#include "fuzz/acpi_check.h"
#include "arch/x86_64/devices.h"
#include "fuzz/fuzz.h"
#include <string.h>

static void check_cpus(const struct acpi *a)
{
	FUZZ_CHECK(a->nr_cpus >= 1 && a->nr_cpus <= NR_CPUS);
	FUZZ_CHECK(a->cpus[0].apic_id == BOOT_APIC_ID && a->max_apic_id == MAX_APIC_ID);
	for (unsigned int i = 0; i < a->nr_cpus; i++) {
		const struct acpi_cpu *c = &a->cpus[i];

		FUZZ_CHECK(c->apic_id <= MAX_APIC_ID && c->nmi_lints < 4);
		FUZZ_CHECK(c->node >= 0 && c->node < (int)a->nr_nodes);
		for (unsigned int j = 0; j < i; j++)
			FUZZ_CHECK(a->cpus[j].apic_id != c->apic_id);
	}
}

static void check_memory(const struct acpi *a)
{
	FUZZ_CHECK(a->nr_mem <= ACPI_MAX_MEM);
	for (unsigned int i = 0; i < a->nr_mem; i++) {
		const struct acpi_mem *m = &a->mem[i];

		FUZZ_CHECK(m->base < m->end && m->node >= 0 && m->node < (int)a->nr_nodes);
		for (unsigned int j = 0; j < i; j++)
			FUZZ_CHECK(a->mem[j].node == m->node || a->mem[j].end <= m->base || m->end <= a->mem[j].base);
	}
}

static void check_nodes(const struct acpi *a)
{
	FUZZ_CHECK(a->nr_nodes >= 1 && a->nr_nodes <= MAX_NUMNODES);
	for (unsigned int i = 0; i < a->nr_nodes; i++)
		for (unsigned int j = 0; j < a->nr_nodes; j++) {
			FUZZ_CHECK(i >= j || a->domains[i] < a->domains[j]);
			FUZZ_CHECK(i == j ? a->distance[i][j] == 10 : a->distance[i][j] >= 10);
		}
}

/* Ranges stay sorted, disjoint and whole, and each has a node. */
static void check_ranges(const struct acpi *a)
{
	struct mem_range r[MAX_MEM_RANGES];
	unsigned int n = 2;
	u64 at = 0x100000;

	r[0] = (struct mem_range){ .base = 0x100000, .size = 1UL << 30 };
	r[1] = (struct mem_range){ .base = 0x100000 + r[0].size, .size = DIRECT_MAP_MAX - 0x100000 - r[0].size };
	ranges_set_nodes(r, &n, a);
	FUZZ_CHECK(n <= MAX_MEM_RANGES);
	for (unsigned int i = 0; i < n; i++) {
		FUZZ_CHECK(r[i].base == at && r[i].size && !(r[i].size & ~PAGE_MASK));
		FUZZ_CHECK(r[i].node >= 0 && r[i].node < (int)a->nr_nodes);
		at += r[i].size;
	}
	FUZZ_CHECK(at == DIRECT_MAP_MAX);
}

void acpi_check(const struct acpi *a)
{
	check_nodes(a);
	check_cpus(a);
	check_memory(a);
	FUZZ_CHECK(a->nr_ioapics <= ACPI_MAX_IOAPICS);
	check_ranges(a);
}

void acpi_seal(u8 *t, u32 size)
{
	memcpy(t + 4, &size, 4);
	t[9] = 0;
	for (u32 i = 0; i < size; i++)
		if (i != 9)
			t[9] -= t[i];
}
