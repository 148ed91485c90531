/*
 * entry_breaks.c - a breakpoint that is set in the middle of setting and clearing another:
 * the debug registers are as the last of both has left them.
 */
#include <arch/debug.h>
#include "arch/x86_64/private.h"
#include "tests/step.h"
#include "tests/test.h"

#define OURS 0
#define THEIRS 3
#define DR7_FIXED 0x400UL /* reads as 1 */

static u64 words[2]; /* nobody touches them */
static u64 step, change_at;

static void set(void *unused)
{
	(void)unused;
	EXPECT_EQ(arch_hw_break_set(OURS, &words[0], HW_BREAK_WRITE, 8), 0);
}

static void clear(void *unused)
{
	(void)unused;
	arch_hw_break_clear(OURS);
}

static void at_step(struct regs *r)
{
	if (++step != change_at)
		return;
	r->rflags &= ~RFLAGS_TF; /* the way out of another step would load DR7 anew */
	EXPECT_EQ(arch_hw_break_set(THEIRS, &words[1], HW_BREAK_WRITE, 8), 0);
}

static u64 changed_at(void (*fn)(void *), u64 at)
{
	u64 steps;

	step = 0;
	change_at = at;
	steps = step_through(fn, NULL, at_step);
	if (at && at <= steps)
		EXPECT_EQ(READ_SYSREG(dr7) & ~DR7_FIXED, this_cpu_read64(entry_cpu.dr7));
	arch_hw_break_clear(THEIRS);
	return steps;
}

TEST(entry_nmi, breakpoint_set_between,
     "a breakpoint set at every instruction of setting and clearing another: both are as they should")
{
	u64 n, flags;

	if (!step_possible())
		return;
	flags = arch_irq_save(); /* a tick would load the registers anew */
	n = changed_at(set, 0);
	changed_at(clear, 0);
	for (u64 at = 1; at <= n; at++) {
		changed_at(set, at);
		changed_at(clear, at);
	}
	arch_irq_restore(flags);
	test_note("%lu instructions", n);
	EXPECT(n > 20);
}
