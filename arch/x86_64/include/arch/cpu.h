/*
 * arch/cpu.h - what one CPU can do: interrupts on and off, pause, clock, and
 * the picture of its registers that an exception entry leaves on the stack.
 */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <anyctx/types.h>

/* Pushed by arch/x86_64/entry.asm, lowest address first. */
struct regs {
	u64 r15, r14, r13, r12, r11, r10, r9, r8;
	u64 rbp, rdi, rsi, rdx, rcx, rbx, rax;
	u64 vector, error;
	u64 rip, cs, rflags, rsp, ss; /* pushed by the CPU */
};

#define RFLAGS_TF (1UL << 8)
#define RFLAGS_IF (1UL << 9)

static __always_inline u64 arch_irq_save(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static __always_inline void arch_irq_restore(u64 flags)
{
	if (flags & RFLAGS_IF)
		__asm__ volatile("sti" : : : "memory");
}

static __always_inline void arch_irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static __always_inline void arch_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static __always_inline bool arch_irqs_disabled(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return !(flags & RFLAGS_IF);
}

static __always_inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Interrupts on and sleep until the next one. */
static __always_inline void arch_idle(void)
{
	__asm__ volatile("sti; hlt" : : : "memory");
}

static __always_inline u64 arch_rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

/* A loop of a known number of instructions a round, to try a clock that counts them. */
#define ARCH_LOOP_INSNS 2

static __always_inline void arch_loop(u64 rounds)
{
	__asm__ volatile("1: decq %0; jnz 1b" : "+r"(rounds) : : "cc");
}

/* To the compiler a call of one pointer that returns one; to the CPU nothing. */
static __always_inline void *arch_no_call(void *arg)
{
	void *ret;

	__asm__ volatile("" : "=a"(ret) : "r"(arg)
			 : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	return ret;
}

#endif
