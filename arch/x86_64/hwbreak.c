/*
 * hwbreak.c - this CPU's debug registers DR0-DR3 and DR7.
 *
 * Invariant: DR7 is entry_cpu.dr7 when entry_cpu.dr7_paused is 0, and 0 when it
 * is not, which is as long as this CPU is inside a #DB or an NMI. Whoever changes
 * either word writes DR7 after it, and looks again if an NMI changed the word in
 * between. Any context, for this CPU.
 */
#include <arch/debug.h>
#include "private.h"

#define SLOTS 4

/* DR7 from the two words. */
static void dr7_update(void)
{
	u64 want;

	do {
		want = this_cpu_read64(entry_cpu.dr7_paused) ? 0 : this_cpu_read64(entry_cpu.dr7);
		WRITE_SYSREG(dr7, want);
	} while (!this_cpu_read64(entry_cpu.dr7_paused) &&
		 want != this_cpu_read64(entry_cpu.dr7));
}

void hw_break_pause(void)
{
	this_cpu_add64(entry_cpu.dr7_paused, 1);
	dr7_update();
}

void hw_break_resume(void)
{
	this_cpu_add64(entry_cpu.dr7_paused, -1);
	dr7_update();
}

static u64 slot_bits(unsigned int slot, u64 enable, u64 kind_len)
{
	return enable << (2 * slot) | kind_len << (16 + 4 * slot);
}

static bool overlaps(u64 a, u64 len, u64 base, u64 end)
{
	return a < end && a + len > base;
}

/* Where a breakpoint would hit before an entry has left its IST stack. */
static bool forbidden(u64 a, u64 len)
{
	if (overlaps(a, len, (u64)__entry_text_start, (u64)__entry_text_end))
		return true;
	if (overlaps(a, len, (u64)idt, (u64)(idt + ARRAY_SIZE(idt))))
		return true;
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++) {
		u64 ec = (u64)per_cpu_ptr(entry_cpu, cpu);

		if (overlaps(a, len, ec, ec + sizeof(struct entry_cpu)))
			return true;
	}
	return ist_contains(a) || ist_contains(a + len - 1);
}

static void slot_address(unsigned int slot, u64 a)
{
	switch (slot) {
	case 0: WRITE_SYSREG(dr0, a); break;
	case 1: WRITE_SYSREG(dr1, a); break;
	case 2: WRITE_SYSREG(dr2, a); break;
	case 3: WRITE_SYSREG(dr3, a); break;
	}
}

int arch_hw_break_set(unsigned int slot, const void *addr, enum hw_break kind, unsigned int len)
{
	static const u64 len_code[9] = { [1] = 0, [2] = 1, [4] = 3, [8] = 2 };
	u64 a = (u64)addr;

	if (kind == HW_BREAK_EXEC)
		len = 1;
	if (slot >= SLOTS || !len || len > 8 || len & (len - 1) || a & (len - 1))
		return -EINVAL;
	if (forbidden(a, len))
		return -EINVAL;
	arch_hw_break_clear(slot);
	slot_address(slot, a);
	/* 2: the global enable bit. */
	this_cpu_add64(entry_cpu.dr7, slot_bits(slot, 2, (u64)kind | len_code[len] << 2));
	dr7_update();
	return 0;
}

bool arch_hw_break_is_own(void)
{
	return true;
}

void arch_hw_break_clear(unsigned int slot)
{
	u64 bits;

	if (slot >= SLOTS)
		return;
	bits = this_cpu_read64(entry_cpu.dr7) & slot_bits(slot, 3, 15);
	this_cpu_add64(entry_cpu.dr7, -bits);
	dr7_update();
}

void arch_hw_break_in_nmi(bool on)
{
	this_cpu_write64(hw_break_in_nmi, on);
}

bool hw_break_is_exec(u64 dr6)
{
	u64 dr7 = this_cpu_read64(entry_cpu.dr7);

	for (unsigned int slot = 0; slot < SLOTS; slot++)
		if (dr6 & 1UL << slot && dr7 & slot_bits(slot, 3, 0) &&
		    !(dr7 & slot_bits(slot, 0, 3)))
			return true;
	return false;
}
