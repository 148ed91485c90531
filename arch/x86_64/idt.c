/*
 * idt.c - the interrupt descriptor table, one for all CPUs.
 *
 * All gates are interrupt gates: an entry starts with interrupts off. NMI, #DB,
 * #DF and #MC start on stacks of their own (IST), since they may come at an
 * instruction where the current stack cannot be trusted; what each does about
 * nesting is in entry.asm. Constant after idt_init().
 */
#include "private.h"

#define GATE_INTERRUPT 0x8eUL
#define STUB_SIZE 16 /* entry.asm */

extern char entry_stubs[], entry_nmi[], entry_db[];

u64 idt[512] __aligned(4096);

static void gate_set(unsigned int vec, const char *entry, enum ist ist)
{
	u64 a = (u64)entry;

	idt[2 * vec] = (a & 0xffff) | (u64)KERNEL_CS << 16 | (u64)ist << 32 |
		       GATE_INTERRUPT << 40 | (a >> 16 & 0xffff) << 48;
	idt[2 * vec + 1] = a >> 32;
}

void idt_init(void)
{
	for (unsigned int vec = 0; vec < 256; vec++)
		gate_set(vec, entry_stubs + vec * STUB_SIZE, IST_NONE);
	gate_set(VEC_NMI, entry_nmi, IST_NMI);
	gate_set(VEC_DB, entry_db, IST_DB);
	gate_set(VEC_DF, entry_stubs + VEC_DF * STUB_SIZE, IST_DF);
	gate_set(VEC_MC, entry_stubs + VEC_MC * STUB_SIZE, IST_MC);
}

void idt_load(const u64 *table)
{
	struct {
		u16 limit;
		u64 base;
	} __packed ptr = { sizeof(idt) - 1, (u64)table };

	__asm__ volatile("lidt %0" : : "m"(ptr) : "memory");
}
