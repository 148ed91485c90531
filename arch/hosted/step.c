/*
 * step.c - single steps go over what is not the kernel's: the C library, a sanitizer's
 * runtime. On the machine that would be one instruction, or not be there; and in a
 * runtime's locks no hook may run.
 *
 * A step from the text to outside of it has called out, and what lies on top of the
 * stack is where that returns to. It is made to return to step_return instead, at full
 * speed; there the trap flag is set again, and the next step ends where the call
 * returns to. Stepping may also begin out there (a tick's hook sets the flag of what it
 * interrupts): then the top of the stack may be anything, and it steps on, unseen, until
 * it is back. Invariants: while step_return is on a CPU's stack, step_return_to of the
 * CPU is what it stands for; no second one is put there. step_from_kernel is set while
 * the instruction that is stepped over next is the kernel's, by the step before it.
 * Called by the handler of traps, on that CPU.
 */
#include "host.h"

static __used DEFINE_PER_CPU(u64, step_return_to); /* 0: none */
static DEFINE_PER_CPU(u64, step_from_kernel);

void step_return(void);
__asm__(".pushsection .text\n"
	".globl step_return\n"
	".type step_return, @function\n"
	"step_return: subq $8, %rsp\n"
	"	pushq %rax\n"
	"	movq %gs:step_return_to, %rax\n"
	"	movq %rax, 8(%rsp)\n"
	"	popq %rax\n"
	"	movq $0, %gs:step_return_to\n"
	"	pushfq\n"
	"	orq $0x100, (%rsp)\n" /* RFLAGS_TF: a step ends after the ret */
	"	popfq\n"
	"	ret\n"
	".size step_return, . - step_return\n"
	".popsection\n");

static bool in_text(u64 pc)
{
	return pc >= (u64)__text_start && pc < (u64)__text_end;
}

/* What lies on top of the stack may well be between a frame's variables. */
__attribute__((no_sanitize_address)) bool step_over(ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;
	u64 *top = (u64 *)g[REG_RSP];
	bool called = this_cpu_read64(step_from_kernel);

	this_cpu_write64(step_from_kernel, 0);
	if (in_text((u64)g[REG_RIP]))
		return false;
	if (!called || !in_text(*top) || this_cpu_read64(step_return_to))
		return true; /* in the middle of it: step on */
	this_cpu_write64(step_return_to, *top);
	*top = (u64)step_return;
	g[REG_EFL] &= ~(greg_t)RFLAGS_TF;
	return true;
}

void step_go_on(const ucontext_t *uc)
{
	this_cpu_write64(step_from_kernel, !!(uc->uc_mcontext.gregs[REG_EFL] & RFLAGS_TF));
}
