/*
 * arch/insn.h - what the next instruction of a picture of registers is going to do:
 * for the benchmarks, which single-step through the allocator and count.
 */
#ifndef ARCH_INSN_H
#define ARCH_INSN_H

#include <arch/cpu.h>

struct arch_insn {
	bool locked;   /* lock prefix, or an exchange with memory */
	bool touches;  /* reads or writes memory at addr, other than by push, pop, call, ret */
	bool relative; /* to the next instruction, whose address is to be added to addr */
	bool stack;    /* pushes or pops at stack_addr */
	u64 addr, stack_addr;
};

/* Of the instruction at r->rip. Any context; reads the code only. */
void arch_insn_look(const struct regs *r, struct arch_insn *in);

#endif
