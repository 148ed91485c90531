/*
 * oom_answer.c - what a CPU at the end of memory asks of another is answered once and for all,
 * whoever interrupts the answer.
 */
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/step.h"
#include "tests/test.h"

#define EACH 64 /* of the first and the last instructions each, and of those between some */
#define STRIDE 61

static u64 step, at;

static void answer(void *unused)
{
	(void)unused;
	reclaim_answer();
}

/* Another CPU asks once more, and its NMI comes here. */
static void ask_again(struct regs *r)
{
	(void)r;
	if (step++ != at)
		return;
	__atomic_fetch_add(&this_cpu_ptr(cpu_asked)->asked, 1, __ATOMIC_SEQ_CST);
	reclaim_answer();
}

/* The answer to a request, interrupted by that to another one: false if one of them is not there. */
static bool answered(u64 where, u64 *points)
{
	struct cpu_asked *a = this_cpu_ptr(cpu_asked);

	step = 0;
	at = where;
	__atomic_fetch_add(&a->asked, 1, __ATOMIC_SEQ_CST);
	*points = step_through(answer, NULL, ask_again);
	return READ_ONCE(a->answered) == READ_ONCE(a->asked);
}

TEST(oom_answer, interrupted, "an answer that is interrupted by the answer to a later request does not take that back")
{
	u64 points, n = 0, bad = 0;

	if (!step_possible())
		return;
	EXPECT(answered(~0UL, &points));
	EXPECT(points > 500);
	for (u64 i = 0, now; i < points; i += i < EACH || i + EACH + STRIDE >= points ? 1 : STRIDE, n++)
		bad += !answered(i, &now);
	EXPECT_EQ(bad, 0);
	test_note("%lu of %lu instructions", n, points);
}
