/*
 * oom_answer.c - what a CPU at the end of memory asks of another is answered once and for all,
 * whoever interrupts the answer.
 */
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/inject.h"
#include "tests/step.h"
#include "tests/test.h"

#define EACH 64 /* of the first and the last places each, and of those between some */
#define STRIDE 61

static void ask(void)
{
	__atomic_fetch_add(&this_cpu_ptr(cpu_asked)->asked, 1, __ATOMIC_SEQ_CST);
}

static void answer(void *unused)
{
	(void)unused;
	reclaim_answer();
}

/* Another CPU asks once more, and its NMI comes here. */
static void ask_again(void *unused)
{
	(void)unused;
	ask();
	reclaim_answer();
}

static bool answered(void)
{
	struct cpu_asked *a = this_cpu_ptr(cpu_asked);

	return READ_ONCE(a->answered) == READ_ONCE(a->asked);
}

TEST(oom_answer, interrupted, "an answer that is interrupted by the answer to a later request does not take that back")
{
	struct injection x = { .fn = answer, .nested = ask_again };
	u64 places, stride, points = 0, bad = 0;

	if (!step_possible())
		return;
	ask();
	places = inject_trace(&x);
	EXPECT(answered());
	EXPECT(places > 100);
	stride = inject_stride(&x, places);
	for (u64 i = 1, by; i <= places; i += by, points++) {
		by = i < EACH || i + EACH + STRIDE >= places ? 1 : STRIDE;
		by = by > stride ? by : stride;
		ask();
		inject_run(&x, i);
		bad += !answered();
	}
	EXPECT_EQ(bad, 0);
	test_note("%lu of %lu instructions", points, places);
}
