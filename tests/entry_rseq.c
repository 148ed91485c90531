/*
 * entry_rseq.c - the table of restartable sequences: all of them are sent back, and so is
 * an idle CPU's sleep. The tests that interrupt calls reach each kind of sequence, but not
 * each place where it is inlined.
 */
#include "arch/x86_64/private.h"
#include <anyctx/irq_work.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/local.h>
#include "tests/step.h"
#include "tests/test.h"

TEST(rseq, table, "each sequence there is, interrupted behind its first instruction and before its end, is sent back")
{
	extern const struct rseq_range __start_rseq[], __stop_rseq[];

	for (const struct rseq_range *s = __start_rseq; s < __stop_rseq; s++)
		for (u64 rip = s->start; rip <= s->end; rip++) {
			struct regs r = { .rip = rip };

			rseq_fixup(&r);
			EXPECT_EQ(r.rip, rip > s->start && rip < s->end ? s->restart : rip);
		}
	EXPECT(__stop_rseq - __start_rseq > (CONFIG_TINY ? 4 : 10));
}

/* ---- arch_idle ---- */

static struct irq_work idle_work;
static u64 idle_ran;

static void idle_work_run(struct irq_work *w)
{
	(void)w;
	idle_ran++;
}

static void idle(void *arg)
{
	(void)arg;
	arch_idle();
}

static void work_before_hlt(struct regs *r)
{
	if (*(const u8 *)r->rip == 0xf4)
		irq_work_queue(&idle_work);
	arch_debug_undisturbed();
}

/* All interrupts and NMIs that this CPU has had. */
static u64 interrupts_here(void)
{
	const struct irq_counts *c = this_cpu_ptr(irq_counts);
	u64 n = READ_ONCE(c->timer) + READ_ONCE(c->nmi);

	for (unsigned int i = 0; i < NR_IPI; i++)
		n += READ_ONCE(c->ipi[i]);
	return n;
}

TEST(rseq, idle, "an interrupt that comes between arch_idle's sti and its hlt ends it: no second one is waited for")
{
	unsigned int at_once = 0;

	if (!step_possible())
		return;
	init_irq_work(&idle_work, idle_work_run);
	idle_ran = 0;
	for (unsigned int i = 0; i < 10; i++) {
		u64 before;

		arch_irq_disable();
		before = interrupts_here();
		step_through(idle, NULL, work_before_hlt);
		at_once += interrupts_here() == before + 1;
		arch_irq_enable();
	}
	EXPECT_EQ(idle_ran, 10);
	EXPECT(at_once > 0); /* now and then a tick is due anyway */
	test_note("%u of 10 by the one interrupt alone", at_once);
}
