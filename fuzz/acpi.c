/*
 * acpi.c - target: finding the tables of ACPI, from the root pointer to all of them
 * (arch/x86_64/acpi.c, and its parsers).
 *
 * An input is one byte of flags, the 36 bytes of the root pointer, and the machine's
 * memory from address 0x1000 on; behind it nothing answers, and reads give 0xff. What the
 * kernel maps of it is a buffer of its own with just so many bytes. With flag 1 checksums
 * are made right, as who cannot get past them learns nothing; with flag 2 there is no
 * root pointer at all.
 */
#include "fuzz/acpi_check.h"
#include <arch/layout.h>
#include "arch/x86_64/x86.h"
#include "fuzz/fuzz.h"
#include "lib/string.h"
#include <stdlib.h>

#define MEMORY_BASE 0x1000UL
#define RSDP_SIZE 36
#define SUMS 1
#define NO_ROOT 2
#define MAX_MAPPINGS 2048

static struct {
	u8 flags;
	u8 rsdp[RSDP_SIZE];
	const u8 *memory;
	u64 size;
	u8 *mapping[MAX_MAPPINGS];
	unsigned int nr_mappings;
} machine;

const void *arch_rsdp(void)
{
	return machine.flags & NO_ROOT ? NULL : machine.rsdp;
}

/* The whole of a table, not its header to learn the length? */
static bool is_whole(const u8 *t, u64 size)
{
	u32 len;

	memcpy(&len, t + 4, sizeof(len));
	return size == len;
}

void *arch_map_phys(u64 pa, u64 size)
{
	u64 off = pa - MEMORY_BASE, there = off < machine.size ? machine.size - off : 0;
	u8 *p = malloc(size);

	FUZZ_CHECK(p && pa >= MEMORY_BASE && size >= ACPI_HEADER_SIZE && size <= ACPI_TABLE_MAX);
	FUZZ_CHECK(pa + size <= DIRECT_MAP_MAX);
	FUZZ_CHECK(machine.nr_mappings < MAX_MAPPINGS);
	machine.mapping[machine.nr_mappings++] = p;
	there = there < size ? there : size;
	if (there)
		memcpy(p, machine.memory + off, there);
	memset(p + there, 0xff, size - there);
	if (machine.flags & SUMS && is_whole(p, size))
		acpi_seal(p, (u32)size);
	return p;
}

static void set_sum(u8 *at, const u8 *p, unsigned int size)
{
	*at = 0;
	for (unsigned int i = 0; i < size; i++)
		if (p + i != at)
			*at -= p[i];
}

/* multiboot2_parse.c has looked at the first sum. */
static void machine_begin(struct fuzz_input *in)
{
	machine.flags = fuzz_u8(in);
	for (unsigned int i = 0; i < RSDP_SIZE; i++)
		machine.rsdp[i] = fuzz_u8(in);
	if (machine.flags & SUMS) {
		set_sum(&machine.rsdp[8], machine.rsdp, 20);
		set_sum(&machine.rsdp[32], machine.rsdp, RSDP_SIZE);
	}
	machine.memory = in->p;
	machine.size = in->left;
}

static void machine_end(void)
{
	while (machine.nr_mappings)
		free(machine.mapping[--machine.nr_mappings]);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	struct acpi a;

	machine_begin(&in);
	acpi_defaults(&a, BOOT_APIC_ID, MAX_APIC_ID);
	acpi_read(&a);
	acpi_check(&a);
	machine_end();
	return 0;
}
