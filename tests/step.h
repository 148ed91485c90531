/*
 * step.h - run a function with a debug exception after each of its instructions.
 */
#ifndef TESTS_STEP_H
#define TESTS_STEP_H

#include <arch/cpu.h>

/*
 * Call fn(arg) and, after each instruction of it and of what it calls, at(r) in
 * debug context; returns how often. Interrupt handlers are not stepped through.
 * This CPU, thread context; uses the trap hook.
 */
u64 step_through(void (*fn)(void *), void *arg, void (*at)(struct regs *r));
/* The call alone, also in an NMI: who has set a trap hook gets the steps. */
void call_stepping(void (*fn)(void *), void *arg);

/* Does it (an emulation of the processor may not)? If not, the case is skipped: return. */
bool step_possible(void);

#endif
