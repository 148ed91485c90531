/*
 * table_thread.c - tests of the lock checker: what a thread holds while another runs is
 * more than there is room for (tables.h).
 */
#include <anyctx/kthread.h>
#include "kernel/printk.h"
#include "tests/finding/expect.h"
#include "tests/lockdep/tables.h"

#define MANY_TURNS 1000
static bool held_over;

static int take_turns(void *unused)
{
	(void)unused;
	while (!READ_ONCE(held_over))
		yield();
	return 0;
}

static int hold_over_switch(void *unused)
{
	u64 before = held_count(), n, turns = 0;

	(void)unused;
	for (n = 0; held_count() <= MAX_SAVED; n++)
		lock_taken(&fillers[n], &one_class, LOCK_SERVICE);
	while (report_possible() && turns++ < MANY_TURNS)
		yield();
	off_then_on();
	EXPECT_EQ(held_count(), MAX_SAVED); /* the last one was not kept */
	for (n--; n--;)
		EXPECT(lock_release(&fillers[n]));
	EXPECT_EQ(held_count(), before);
	WRITE_ONCE(held_over, true);
	return 0;
}

static void switched_on(unsigned int cpu)
{
	struct task *other, *holds;
	char where[40];

	held_over = false;
	other = kthread_run_on_cpu(take_turns, NULL, cpu, "takes turns");
	holds = kthread_run_on_cpu(hold_over_switch, NULL, cpu, "holds");
	REQUIRE(other && holds);
	kthread_join(holds);
	kthread_join(other);
	snprintf(where, sizeof(where), "lockdep: off: CPU %u in thread", cpu);
	expect_findings(1, (const char *const[]){ where, "has no more room for",
						  "  what a thread holds while another runs", NULL });
}

TEST(lockdep, full_thread, "a thread that is at more than can be put down while another runs is reported, on the first and the last CPU")
{
	unsigned int last = num_online_cpus() - 1;

	tables_begin();
	switched_on(0);
	if (last)
		switched_on(last);
	tables_end();
}
