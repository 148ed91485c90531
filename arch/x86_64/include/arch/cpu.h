/*
 * arch/cpu.h - what one CPU can do: interrupts on and off, waiting (interrupts.h),
 * clock; and the picture of its registers that an exception entry leaves on the
 * stack.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <anyctx/types.h>
#include <arch/interrupts.h>

/* Pushed by arch/x86_64/entry.asm, lowest address first. */
struct regs {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss; /* pushed by the CPU */
};

#define RFLAGS_TF (1UL << 8)

static __always_inline u64 arch_rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

#endif
