/*
 * acpi.h - what the firmware's tables say about CPUs, NUMA nodes, interrupt
 * controllers and the HPET.
 *
 * The parsers (acpi_parse.c) are pure: they read (bytes, length) and write one
 * struct. They include nothing of the kernel but types and strings, so that a
 * hosted program can call them with anything at all.
 */
#ifndef X86_ACPI_H
#define X86_ACPI_H

#include <anyctx/types.h>

#define ACPI_MAX_IOAPICS 16
#define ACPI_MAX_MEM 64
#define ACPI_ISA_IRQS 16
#define ACPI_HEADER_SIZE 36
#define ACPI_TABLE_MAX (1u << 20) /* a longer table is taken for a broken one */

/* MPS INTI flags, of overrides and NMI entries. */
#define ACPI_POLARITY(flags) ((flags) & 3)
#define ACPI_ACTIVE_LOW 3

struct acpi_cpu {
	u32 apic_id, uid;
	int node;
	u8 nmi_lints;      /* bit n: an NMI comes in at LINTn */
	u16 lint_flags[2];
};

/* The tables in short. cpus[0] is the CPU that booted; nodes are dense. */
struct acpi {
	u32 max_apic_id; /* CPUs above it cannot be addressed */
	unsigned int nr_cpus, cpus_unused;
	struct acpi_cpu cpus[NR_CPUS];

	bool have_madt;
	u64 lapic_base; /* 0: not told */
	unsigned int nr_ioapics;
	struct {
		u64 base;
		u32 gsi_base;
	} ioapics[ACPI_MAX_IOAPICS];
	struct {
		u32 gsi;
		u16 flags;
	} isa[ACPI_ISA_IRQS];

	unsigned int nr_nodes;
	u32 domains[MAX_NUMNODES]; /* the firmware's number of each node, ascending */
	unsigned int nr_mem;
	struct acpi_mem {
		u64 base, end;
		int node;
	} mem[ACPI_MAX_MEM]; /* of different nodes: disjoint; memory in none: node 0 */
	u8 distance[MAX_NUMNODES][MAX_NUMNODES];

	u64 hpet_base; /* 0: there is none */
};

/*
 * The defaults for no tables at all: one CPU, one node, ISA interrupts one to
 * one, LINT1 is the NMI.
 */
void acpi_defaults(struct acpi *a, u32 boot_apic_id, u32 max_apic_id);

/*
 * A table with its header, len bytes of which can be read: NULL, or what is wrong
 * with it. The others are for tables that have passed this one; they want *a as
 * acpi_defaults and earlier tables (MADT, SRAT, SLIT, in this order) have left it.
 * When they do not return NULL, *a is not to be used.
 */
const char *acpi_check_table(const u8 *t, u32 len, const char *signature);
const char *acpi_parse_madt(struct acpi *a, const u8 *t, u32 len);
const char *acpi_parse_srat(struct acpi *a, const u8 *t, u32 len);
const char *acpi_parse_slit(struct acpi *a, const u8 *t, u32 len);
const char *acpi_parse_hpet(struct acpi *a, const u8 *t, u32 len);
bool acpi_sum_is_zero(const u8 *p, u32 len);

/*
 * acpi.c: find and read all of them, from the root pointer that the boot loader
 * gave. Bad ones are reported and ignored. CPU 0 while early_alloc works.
 */
void acpi_read(struct acpi *a);

#endif
