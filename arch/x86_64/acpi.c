/*
 * acpi.c - from the root pointer to the tables, and what to do with bad ones.
 *
 * Invariant: no table is believed before its length and checksum were checked, and
 * none is read at an address outside what the direct map can hold. A bad one is
 * reported and the machine is taken to have none: *a changes by whole tables.
 * CPU 0, once, while early_alloc works (tables are mapped as they are found).
 */
#include <arch/machine.h>
#include "kernel/printk.h"
#include "lib/string.h"
#include "acpi.h"
#include "x86.h"

#define MAX_TABLES 512

typedef const char *(*parse_fn)(struct acpi *a, const u8 *t, u32 len);

struct table {
	const char signature[5];
	parse_fn parse;
	const u8 *bytes; /* NULL: the machine has none */
};

/* In the order in which they need each other. */
static struct table tables[] = {
	{ "APIC", acpi_parse_madt, NULL },
	{ "SRAT", acpi_parse_srat, NULL },
	{ "SLIT", acpi_parse_slit, NULL },
	{ "HPET", acpi_parse_hpet, NULL },
};

static u32 length_of(const u8 *t)
{
	u32 len;

	memcpy(&len, t + 4, sizeof(len));
	return len;
}

/* The whole table at pa; NULL if not even its header can be one. */
static const u8 *table_map(u64 pa)
{
	const u8 *t;
	u32 len;

	if (pa < PAGE_SIZE || pa > DIRECT_MAP_MAX - ACPI_TABLE_MAX)
		return NULL;
	t = arch_map_phys(pa, ACPI_HEADER_SIZE);
	len = length_of(t);
	if (len < ACPI_HEADER_SIZE || len > ACPI_TABLE_MAX)
		return NULL;
	return arch_map_phys(pa, len);
}

/* One that is wanted, and the first of its kind, is kept. */
static void table_found(u64 pa)
{
	const u8 *t = table_map(pa);
	const char *wrong;

	for (unsigned int i = 0; t && i < ARRAY_SIZE(tables); i++) {
		if (tables[i].bytes || memcmp(t, tables[i].signature, 4))
			continue;
		wrong = acpi_check_table(t, length_of(t), tables[i].signature);
		if (wrong)
			printk("acpi: table %s ignored: %s\n", tables[i].signature, wrong);
		else
			tables[i].bytes = t;
	}
}

/* The list of tables, of 4 or 8 byte addresses: false if it is no good. */
static bool list_read(u64 pa, const char *signature, unsigned int width)
{
	const u8 *t = table_map(pa);
	const char *wrong = "impossible address or length";
	u32 n;

	if (t)
		wrong = acpi_check_table(t, length_of(t), signature);
	if (wrong) {
		printk("acpi: table %s ignored: %s\n", signature, wrong);
		return false;
	}
	n = (length_of(t) - ACPI_HEADER_SIZE) / width;
	for (u32 i = 0; i < n && i < MAX_TABLES; i++) {
		u64 entry = 0;

		memcpy(&entry, t + ACPI_HEADER_SIZE + i * width, width);
		table_found(entry);
	}
	return true;
}

/* Revision 2 and later have the XSDT; the older list is there if it is broken. */
static bool tables_find(const u8 *rsdp)
{
	u64 xsdt, rsdt = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(tables); i++)
		tables[i].bytes = NULL;
	memcpy(&xsdt, rsdp + 24, 8);
	memcpy(&rsdt, rsdp + 16, 4);
	if (rsdp[15] >= 2 && xsdt) {
		if (!acpi_sum_is_zero(rsdp, 36))
			printk("acpi: extended root pointer ignored: wrong checksum\n");
		else if (list_read(xsdt, "XSDT", 8))
			return true;
	}
	return list_read(rsdt, "RSDT", 4);
}

void acpi_read(struct acpi *a)
{
	static struct acpi draft;
	const u8 *rsdp = arch_rsdp();

	if (!rsdp)
		printk("acpi: no tables; only the boot CPU will be used\n");
	if (!rsdp || !tables_find(rsdp))
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(tables); i++) {
		const u8 *t = tables[i].bytes;
		const char *wrong;

		if (!t)
			continue;
		draft = *a;
		wrong = tables[i].parse(&draft, t, length_of(t));
		if (wrong)
			printk("acpi: table %s ignored: it has %s\n", tables[i].signature, wrong);
		else
			*a = draft;
	}
}
