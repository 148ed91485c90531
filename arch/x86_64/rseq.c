/*
 * rseq.c - sends interrupted restartable sequences back (arch/local.h).
 *
 * Called on the way out of every interrupt, NMI and debug exception, after its
 * handlers: what they did cannot be known, so a sequence that had not committed
 * is not believed any more. Any context; reads constants only.
 */
#include <arch/debug.h>
#include <arch/local.h>
#include "private.h"

extern const struct rseq_range __start_rseq[], __stop_rseq[];

static DEFINE_PER_CPU(u64, undisturbed);

void rseq_fixup(struct regs *r)
{
	for (const struct rseq_range *s = __start_rseq; s < __stop_rseq; s++) {
		if (r->rip - s->start < s->end - s->start && r->rip != s->start) {
			r->rip = s->restart;
			r->rflags &= ~RFLAGS_RF; /* it was set for the instruction left out */
			return;
		}
	}
}

/* A hook that has done nothing to the CPU's data lets the sequence go on; else a
 * single step through one would never see its end. */
void arch_debug_undisturbed(void)
{
	this_cpu_write64(undisturbed, 1);
}

bool arch_debug_disturbed(void)
{
	return !this_cpu_read64(undisturbed);
}

void rseq_fixup_debug(struct regs *r)
{
	u64 keep = this_cpu_read64(undisturbed);

	this_cpu_write64(undisturbed, 0);
	if (!keep)
		rseq_fixup(r);
}
