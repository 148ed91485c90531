/*
 * arch/debug.h - debug exceptions made on purpose, for tests and the main job:
 * this CPU's hardware breakpoints DR0-DR3, the breakpoint instruction, stepping.
 */
#ifndef ARCH_DEBUG_H
#define ARCH_DEBUG_H

#include <anyctx/types.h>

/* In DR6: the #DB is that of an instruction that began with RFLAGS_TF set. */
#define DR6_SINGLE_STEP (1UL << 14)

/* #BP here. */
static __always_inline void arch_breakpoint(void)
{
	__asm__ volatile("int3" : : : "memory");
}

enum hw_break { HW_BREAK_EXEC = 0, HW_BREAK_WRITE = 1, HW_BREAK_RW = 3 };

/* Returns -EINVAL if addr is in the entry code, where none may be set. */
int arch_hw_break_set(unsigned int slot, const void *addr, enum hw_break kind, unsigned int len);
void arch_hw_break_clear(unsigned int slot);
/* Breakpoints stay on inside NMI handlers of this CPU; else they are off there. */
void arch_hw_break_in_nmi(bool on);
/* Do the other CPUs not run into it? Else they wait there until it is cleared. */
bool arch_hw_break_is_own(void);

/*
 * To be called in a trap hook that has neither allocated nor freed: a restartable
 * sequence (arch/local.h) that the exception hit goes on where it was. Not while
 * NMIs come that allocate.
 */
void arch_debug_undisturbed(void);
/* In a debug exception, after its hook: has that not said so? */
bool arch_debug_disturbed(void);

/* The return addresses above frame pointer rbp (with first pc, if not 0);
 * stops at anything that is not a mapped kernel stack. Any context. */
unsigned int arch_backtrace(u64 pc, u64 rbp, u64 *out, unsigned int max);

#endif
