/*
 * inject_nmi.c - sweeps over the instructions of a call by real NMIs (inject_sweep.h).
 *
 * The local timer in NMI mode is set to 1, 2, 3 ... ticks before the call. Where a tick
 * is an instruction, each NMI lands one instruction behind the one before; elsewhere
 * it is a sample, and the figure of those that hit the call says how good.
 */
#include <arch/irq.h>
#include "kernel/exact.h"
#include "kernel/hooks.h"
#include "kernel/tick.h"
#include "tests/inject.h"
#include "tests/inject_sweep.h"
#include "tests/inject_state.h"
#include "tests/test.h"

#define MOST_TICKS 60000
#define MISSING 5       /* runs without an NMI that end a sweep: it is behind the end */
#define SAMPLES 300     /* without an exact clock */
#define SAMPLE_FROM 100 /* ticks */
#define SAMPLE_RANGE 30011

static volatile bool in_call, arm;
static volatile u64 in_call_nmis, runs_without;

static void on_nmi(struct regs *r)
{
	if (smp_processor_id() || !arm)
		return;
	arm = false;
	injected_rip = r->rip;
	in_call_nmis += in_call;
	nested_calls[0].fn(NULL);
}

/* The call with an NMI after so many ticks. */
static __noinline void run_with_nmi(const struct interrupted *c, u32 ticks)
{
	in_call = true;
	arm = true;
	arch_timer_nmi_oneshot(ticks);
	c->run(NULL);
	in_call = false;
	arch_timer_cancel();
}

static bool point_nmi(const struct interrupted *c, u32 ticks)
{
	point_begin(c);
	run_with_nmi(c, ticks);
	runs_without = arm ? runs_without + 1 : 0;
	arm = false;
	return point_end(c, "NMI", ticks);
}

static u64 sweep_exact(const struct interrupted *c)
{
	u64 bad = 0;

	for (u32 k = 1; k < MOST_TICKS && runs_without < MISSING; k++)
		bad += !point_nmi(c, k);
	return bad;
}

static u64 sweep_sample(const struct interrupted *c)
{
	u64 bad = 0;

	for (u32 i = 0; i < SAMPLES; i++)
		bad += !point_nmi(c, SAMPLE_FROM + i * 7919 % SAMPLE_RANGE);
	return bad;
}

void sweep_nmi(const char *name, const struct interrupted *c)
{
	bool exact;
	u64 bad;

	nested_failed = nested_made = in_call_nmis = runs_without = 0;
	tick_set_hz(0); /* on all CPUs: what they do moves an exact clock on as well */
	exact = clock_is_exact();
	REQUIRE(states_begin());
	set_nmi_hook(on_nmi);
	bad = exact ? sweep_exact(c) : sweep_sample(c);
	set_nmi_hook(NULL);
	hook_sync();
	states_end();
	tick_set_hz(tick_default_hz());
	EXPECT(!exact || (runs_without == MISSING && in_call_nmis > 0));
	test_note("%s: %lu NMIs in the call%s, %lu nested calls, %lu points failed", name, in_call_nmis,
		  exact ? ", every instruction" : " (a sample)", nested_made, bad);
}
