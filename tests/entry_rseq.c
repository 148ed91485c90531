/*
 * entry_rseq.c - the table of restartable sequences: all of them are sent back. The tests
 * that interrupt calls reach each kind of sequence, but not each place where it is inlined.
 */
#include "arch/x86_64/private.h"
#include <arch/local.h>
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
