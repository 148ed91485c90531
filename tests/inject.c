/*
 * inject.c - nested calls between two instructions (inject.h).
 *
 * A debug exception in which nothing is done lets a restartable sequence go on
 * (arch/local.h); one in which something was done does not, as no interruption does.
 */
#include "tests/inject.h"
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/cmdline.h"
#include "kernel/hooks.h"
#include "kernel/kcsan.h"
#include "mm/kasan/kasan.h"
#include "mm/mm.h"
#include "tests/step.h"
#include "tests/test.h"

#define MAX_PLACES 131072
#define TRACES 8 /* of a call, until one fits */
#define SLOT 0 /* of the debug registers */
#define STEPPED_PLACES 30 /* of a sweep, without breakpoints */

static s64 inject_sample;
s64 inject_full, inject_deep = 8, inject_seed = 1;
KPARAM_INT(inject_full, "inject_full", 0, 1, "1: tests interrupt at every instruction, with everything");
KPARAM_INT(inject_sample, "inject_sample", 0, 1000000, "so many places of a call in a sweep; 0: all, or 30 where there are no breakpoints");
KPARAM_INT(inject_deep, "inject_deep", 0, 1000000, "points two calls deep in each sweep of inject.*");
KPARAM_INT(inject_seed, "inject_seed", 1, 0x7fffffffffffffffL, "of the samples of inject.*");

u64 injected_rip;
void (*inject_other_cpu)(struct regs *r);
u64 inject_nested_length;
bool inject_third_ran;

static u64 places[MAX_PLACES], nr_places; /* of the last inject_trace */

static struct {
	const struct injection *x;
	enum { STEPPING, RECORDING, BREAKING } how;
	u64 left; /* places or hits until nested runs */
	u64 rsp;  /* at the first instruction of fn; 0 before, ~0 behind its end */
	u64 rip;  /* the last place */
	bool ran;
	volatile bool nmi_done;
	bool deep; /* nested is stepped through */
} now;

/* Is this step a new place in fn? A repeated string instruction is one; what the build's
 * race detector adds, and all others call as well, is none. */
static bool is_place(const struct regs *r)
{
	if (kcsan_in_text(r->rip))
		return false;
	if (!now.rsp && r->rip == (u64)now.x->fn)
		now.rsp = r->rsp;
	else if (r->rsp > now.rsp)
		now.rsp = now.rsp ? ~0UL : 0;
	if (!now.rsp || now.rsp == ~0UL || now.rip == r->rip)
		return false;
	if (CONFIG_KASAN && kasan_in_checks(r->rip))
		return false; /* they only read; and so much is called from here as well */
	now.rip = r->rip;
	return true;
}

static void record(const struct regs *r)
{
	if (nr_places < MAX_PLACES)
		places[nr_places++] = r->rip;
}

/* nested, which the third call interrupts as nested has interrupted fn. */
static void run_nested(void)
{
	inject_nested_length = 0;
	inject_third_ran = false;
	if (!now.x->third) {
		now.x->nested(now.x->narg);
		return;
	}
	now.deep = true;
	call_stepping(now.x->nested, now.x->narg);
	now.deep = false;
}

/* Only in the allocator: what nested notes down about its calls is not made for this. */
static void nested_step(struct regs *r)
{
	if (!mm_in_text(r->rip) || ++inject_nested_length != now.x->third_at) {
		arch_debug_undisturbed();
		return;
	}
	r->rflags &= ~RFLAGS_TF;
	now.deep = false;
	inject_third_ran = true;
	now.x->third(now.x->narg);
}

static void nested_here(struct regs *r)
{
	now.ran = true;
	injected_rip = r->rip;
	r->rflags &= ~RFLAGS_TF; /* the rest at full speed */
	if (now.how == BREAKING)
		arch_hw_break_clear(SLOT);
	run_nested();
}

static bool on_trap(struct regs *r, u64 dr6)
{
	bool place;

	(void)dr6;
	if (smp_processor_id()) {
		inject_other_cpu(r);
		arch_debug_undisturbed();
		return true;
	}
	if (now.deep) {
		nested_step(r);
		return true;
	}
	place = now.how == BREAKING || is_place(r);
	if (place && now.how == RECORDING)
		record(r);
	else if (place && !--now.left)
		nested_here(r);
	if (!now.ran || now.x->elsewhere)
		arch_debug_undisturbed();
	return true;
}

/* ---- running it ---- */

static void run_here(void)
{
	if (now.how == BREAKING)
		now.x->fn(now.x->arg);
	else
		call_stepping(now.x->fn, now.x->arg);
}

static void in_nmi(struct regs *r)
{
	(void)r;
	if (smp_processor_id() || now.nmi_done)
		return;
	run_here();
	now.nmi_done = true;
}

static void run_in_nmi(void)
{
	now.nmi_done = false;
	set_nmi_hook(in_nmi);
	arch_send_nmi(0);
	while (!now.nmi_done)
		cpu_relax();
	set_nmi_hook(NULL);
}

/*
 * Interrupts are off: their handlers would be more places, and an emulator that
 * returns from one with RF set would not stop there.
 */
static bool run(const struct injection *x, u64 left)
{
	u64 flags = arch_irq_save();

	now.x = x;
	now.left = left;
	now.rsp = now.rip = 0;
	now.ran = false;
	set_trap_hook(on_trap);
	if (x->in_nmi)
		run_in_nmi();
	else
		run_here();
	set_trap_hook(NULL);
	arch_irq_restore(flags);
	return now.ran;
}

u64 inject_trace(const struct injection *x)
{
	now.how = RECORDING;
	for (unsigned int i = 0; i < TRACES; i++) {
		nr_places = 0;
		run(x, 0);
		if (nr_places < MAX_PLACES)
			break; /* else it has waited for another CPU, which the host has let stand */
	}
	EXPECT(nr_places < MAX_PLACES);
	return nr_places;
}

bool inject_step(const struct injection *x, u64 at)
{
	now.how = STEPPING;
	return run(x, at);
}

/* How often fn has been at this place when it is there. */
static u64 times(u64 at)
{
	u64 n = 0;

	for (u64 i = 0; i < at; i++)
		n += places[i] == places[at - 1];
	return n;
}

static bool must_step(const struct injection *x)
{
	return x->waits && !arch_hw_break_is_own();
}

bool inject_run(const struct injection *x, u64 at)
{
	bool ran;

	if (at > nr_places || must_step(x) || arch_hw_break_set(SLOT, (void *)places[at - 1], HW_BREAK_EXEC, 1))
		return inject_step(x, at);
	now.how = BREAKING;
	arch_hw_break_in_nmi(x->in_nmi);
	ran = run(x, times(at));
	arch_hw_break_in_nmi(false);
	arch_hw_break_clear(SLOT);
	return ran;
}

bool inject_few(u64 missed, u64 points)
{
	return missed * 10 <= (inject_sample && !inject_full ? points : 0);
}

u64 inject_stride(const struct injection *x, u64 n)
{
	if (inject_sample && !inject_full)
		return n / (u64)inject_sample + 1;
	if (inject_full || (!must_step(x) && !arch_hw_break_set(SLOT, (void *)inject_stride, HW_BREAK_EXEC, 1))) {
		arch_hw_break_clear(SLOT);
		return 1;
	}
	return n / STEPPED_PLACES + 1;
}
