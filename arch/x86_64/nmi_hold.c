/*
 * nmi_hold.c - an NMI that does not end (arch_nmi_hold), for tests of the watchdog.
 *
 * Until an NMI's handler has got as far as its COMMIT (entry.asm) hardware keeps others out.
 * So a handler that hangs before it makes its CPU deaf; this one does. Invariant: the table
 * with the gate that leads here is loaded on one CPU at a time, in one call of arch_nmi_hold,
 * which is the caller's to see to. Thread context.
 */
#include <arch/irq.h>
#include "lib/string.h"
#include "private.h"
#include "x86.h"

extern char nmi_hold_entry[];
const u64 *nmi_held_by;

/* Nothing is saved yet, so nothing but flags may change; they are in hardware's frame. */
__asm__(".pushsection .text\n"
	".globl nmi_hold_entry\n"
	"nmi_hold_entry:\n"
	"	pushq %rax\n"
	"	movq nmi_held_by(%rip), %rax\n"
	"1:	pause\n"
	"	cmpq $0, (%rax)\n"
	"	jne 1b\n"
	"	popq %rax\n"
	"	jmp entry_nmi\n"
	".popsection");

static u64 held_idt[512] __aligned(4096);

void arch_nmi_hold(const u64 *word)
{
	u64 to = (u64)nmi_hold_entry, *gate = &held_idt[2 * VEC_NMI];

	nmi_held_by = word;
	memcpy(held_idt, idt, sizeof(held_idt));
	gate[0] = (gate[0] & ~0xffff00000000ffffUL) | (to & 0xffff) | (to >> 16 & 0xffff) << 48;
	gate[1] = to >> 32;
	idt_load(held_idt);
	arch_send_nmi(smp_processor_id());
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE))
		cpu_relax();
	idt_load(idt);
}
