/*
 * kthread_step.c - single steps of a thread that may be replaced or moved between two of them
 * (kthread_step.h). Written by the thread, before it steps, and by its steps.
 */
#include "tests/kthread_step.h"
#include <arch/debug.h>
#include "kernel/hooks.h"
#include "kernel/task.h"
#include "tests/step.h"

static struct task *stepped;
static u64 steps, at;
static void (*disturb_it)(void);

static bool on_step(struct regs *r, u64 dr6)
{
	if (!(dr6 & DR6_SINGLE_STEP))
		return false;
	arch_debug_undisturbed();
	if (current_task() != stepped)
		return true; /* in the middle of a switch */
	if (++steps == at)
		disturb_it();
	if (steps >= at)
		r->rflags &= ~RFLAGS_TF;
	return true;
}

void steps_begin(void)
{
	set_trap_hook(on_step);
}

void steps_end(void)
{
	set_trap_hook(NULL);
	hook_sync();
}

bool disturbed_at(u64 n, void (*fn)(void *), void (*disturb)(void))
{
	stepped = current_task();
	disturb_it = disturb;
	steps = 0;
	at = n;
	call_stepping(fn, NULL);
	return steps >= n;
}
