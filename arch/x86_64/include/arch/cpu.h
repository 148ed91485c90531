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

#define NO_VECTOR 256 /* in `vector`: of no exception or interrupt */

#define RFLAGS_TF (1UL << 8)

/* The registers as they are here; rip is the caller's business. */
static __always_inline void arch_regs_capture(struct regs *r)
{
	__asm__ volatile("movq %%r15, %0; movq %%r14, %1; movq %%r13, %2; movq %%r12, %3\n\t"
			 "movq %%r11, %4; movq %%r10, %5; movq %%r9, %6; movq %%r8, %7"
			 : "=m"(r->r15), "=m"(r->r14), "=m"(r->r13), "=m"(r->r12), "=m"(r->r11),
			   "=m"(r->r10), "=m"(r->r9), "=m"(r->r8));
	__asm__ volatile("movq %%rbp, %0; movq %%rdi, %1; movq %%rsi, %2; movq %%rdx, %3\n\t"
			 "movq %%rcx, %4; movq %%rbx, %5; movq %%rax, %6; movq %%rsp, %7"
			 : "=m"(r->rbp), "=m"(r->rdi), "=m"(r->rsi), "=m"(r->rdx), "=m"(r->rcx),
			   "=m"(r->rbx), "=m"(r->rax), "=m"(r->rsp));
	__asm__ volatile("pushfq; popq %0; movq %%cs, %1; movq %%ss, %2"
			 : "=r"(r->rflags), "=r"(r->cs), "=r"(r->ss));
	r->vector = NO_VECTOR;
	r->error = 0;
	r->rip = 0;
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
