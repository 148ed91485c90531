/*
 * inject_at.c - nested calls between two instructions (inject.h).
 *
 * A step in which nothing is done lets a restartable sequence go on (arch/local.h);
 * one in which something was done does not, as any other interruption would not.
 */
#include "tests/inject.h"
#include <arch/debug.h>

u64 injected, injected_rip;

static struct {
	void (*nested)(void *);
	void *narg;
	u64 left, every; /* instructions until the next one */
} now;

static void at_step(struct regs *r)
{
	if (--now.left) {
		arch_debug_undisturbed();
		return;
	}
	now.left = now.every;
	if (!now.every)
		r->rflags &= ~RFLAGS_TF; /* the rest at full speed */
	injected++;
	injected_rip = r->rip;
	now.nested(now.narg);
}

u64 inject_at(void (*fn)(void *), void *arg, u64 at, u64 every, void (*nested)(void *), void *narg)
{
	injected = injected_rip = 0;
	now.nested = nested;
	now.narg = narg;
	now.left = at;
	now.every = every;
	return step_through(fn, arg, at_step);
}
