/*
 * ioapic.c - the I/O APICs: all inputs masked, but for one that is to come as an
 * NMI to all CPUs.
 *
 * An input has a global number (GSI); each I/O APIC has a run of them. Its registers
 * are reached in two steps, select and then data, so invariant: CPU 0 alone touches
 * them, in thread context or booting, and nothing that interrupts it does.
 */
#include "kernel/printk.h"
#include "devices.h"

#define REGS_SIZE 0x20
#define SELECT 0x00
#define DATA 0x10
#define VERSION 1
#define ENTRY(n) (0x10 + 2 * (n))
#define MAX_ENTRIES 240

#define ENTRY_NMI 0x400u /* edge */
#define ENTRY_LOGICAL (1u << 11)
#define ENTRY_ACTIVE_LOW (1u << 13)
#define ENTRY_MASKED (1u << 16)

struct ioapic {
	volatile u8 *regs;
	u32 first, n; /* GSIs */
};

static struct ioapic ioapics[ACPI_MAX_IOAPICS];
static unsigned int nr_ioapics;

static u32 read(const struct ioapic *io, u32 reg)
{
	*(volatile u32 *)(io->regs + SELECT) = reg;
	return *(volatile u32 *)(io->regs + DATA);
}

static void write(const struct ioapic *io, u32 reg, u32 v)
{
	*(volatile u32 *)(io->regs + SELECT) = reg;
	*(volatile u32 *)(io->regs + DATA) = v;
}

/* A masked entry can be changed in two stores; so: mask, high half, low half. */
static void entry_set(const struct ioapic *io, u32 n, u32 high, u32 low)
{
	write(io, ENTRY(n), ENTRY_MASKED);
	write(io, ENTRY(n) + 1, high);
	write(io, ENTRY(n), low);
}

void ioapic_find(void)
{
	for (unsigned int i = 0; i < machine.nr_ioapics; i++) {
		u64 base = machine.ioapics[i].base;

		if (base & 3 || !machine_device_at(base, REGS_SIZE)) {
			printk("ioapic: ignored: no device can be at %lx\n", base);
			continue;
		}
		ioapics[nr_ioapics++] = (struct ioapic){ .regs = arch_map_mmio(base, REGS_SIZE),
							 .first = machine.ioapics[i].gsi_base };
	}
}

void ioapic_init(void)
{
	for (unsigned int i = 0; i < nr_ioapics; i++) {
		struct ioapic *io = &ioapics[i];

		io->n = (read(io, VERSION) >> 16 & 0xff) + 1;
		if (io->n > MAX_ENTRIES)
			io->n = 0; /* nothing answers there */
		for (u32 n = 0; n < io->n; n++)
			entry_set(io, n, 0, ENTRY_MASKED);
	}
}

static const struct ioapic *ioapic_of(u32 gsi)
{
	for (unsigned int i = 0; i < nr_ioapics; i++)
		if (gsi >= ioapics[i].first && gsi - ioapics[i].first < ioapics[i].n)
			return &ioapics[i];
	return NULL;
}

bool ioapic_nmi_on(u32 gsi, bool active_low)
{
	const struct ioapic *io = ioapic_of(gsi);
	u32 entry = ENTRY_NMI;
	bool logical;
	u8 dest;

	if (!io || !lapic_all_cpus(&dest, &logical))
		return false;
	if (active_low)
		entry |= ENTRY_ACTIVE_LOW;
	if (logical)
		entry |= ENTRY_LOGICAL;
	entry_set(io, gsi - io->first, (u32)dest << 24, entry);
	return true;
}

void ioapic_mask(u32 gsi)
{
	const struct ioapic *io = ioapic_of(gsi);

	if (io)
		entry_set(io, gsi - io->first, 0, ENTRY_MASKED);
}
