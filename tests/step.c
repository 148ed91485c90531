/*
 * step.c - single-stepping with the trap flag (step.h). One CPU at a time.
 */
#include "tests/step.h"
#include "kernel/hooks.h"
#include "tests/test.h"

#define DR6_SINGLE_STEP (1UL << 14)

static void (*step_at)(struct regs *r);
static u64 steps;

static bool on_trap(struct regs *r, u64 dr6)
{
	if (!(dr6 & DR6_SINGLE_STEP))
		return false;
	steps++;
	step_at(r);
	return true;
}

__noinline void call_stepping(void (*fn)(void *), void *arg)
{
	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(RFLAGS_TF) : "memory", "cc");
	fn(arg);
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~RFLAGS_TF) : "memory", "cc");
}

u64 step_through(void (*fn)(void *), void *arg, void (*at)(struct regs *r))
{
	step_at = at;
	steps = 0;
	set_trap_hook(on_trap);
	call_stepping(fn, arg);
	set_trap_hook(NULL);
	hook_sync();
	return steps;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void no_look(struct regs *r)
{
	(void)r;
}

bool step_possible(void)
{
	if (step_through(nothing, NULL, no_look))
		return true;
	test_skip("this machine does not single-step");
	return false;
}
