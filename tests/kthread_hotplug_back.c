/*
 * kthread_hotplug_back.c - a waker has seen that the thread's CPU is offline, and is held up
 * before it takes the messages there, until the CPU is back (hotplug_back.h): the messages since
 * are of threads that are that CPU's, and are left to it.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "kernel/task.h"
#include "tests/hotplug_back.h"
#include "tests/test.h"

#define LIMIT_NS 20000000000UL /* until a wake-up counts as lost */

static unsigned int victim;
static struct task *stays, *pinned;
static u64 stays_runs;

/* Of the target: parked on its list of messages while that is offline. */
static int count_wakes(void *unused)
{
	(void)unused;
	while (!kthread_should_stop()) {
		park();
		__atomic_fetch_add(&stays_runs, 1, __ATOMIC_RELEASE);
	}
	return 0;
}

static int park_pinned(void *unused)
{
	int cpu;

	(void)unused;
	migrate_disable();
	park();
	cpu = (int)smp_processor_id();
	migrate_enable();
	return cpu;
}

static void until_parked(struct task *t)
{
	while (__atomic_load_n(&t->state, __ATOMIC_SEQ_CST) != TASK_PARKED)
		schedule_timeout(1);
}

static void prepare_wake(void)
{
	until_parked(stays);
	stays_runs = 0;
}

static void send_wake(void *unused)
{
	(void)unused;
	EXPECT(wake_up_process(stays));
}

static void park_one(void)
{
	pinned = kthread_run_on_cpu(park_pinned, NULL, victim, "pinned");
	EXPECT(pinned != NULL);
	if (pinned)
		until_parked(pinned);
}

static void wake_other(void)
{
	if (pinned)
		EXPECT(wake_up_process(pinned));
}

static void check_wake(u64 at)
{
	u64 end = arch_ns() + LIMIT_NS;
	int cpu = pinned ? kthread_join(pinned) : -1;

	if (cpu != (int)victim)
		test_fail(__FILE__, __LINE__, "back at step %lu: a thread that keeps its CPU is on CPU %d", at, cpu);
	while (!__atomic_load_n(&stays_runs, __ATOMIC_ACQUIRE) && arch_ns() < end)
		cpu_relax();
	EXPECT_EQ(stays_runs, 1);
}

TEST(hotplug, waker_back, "a waker held up before it takes the messages of an offline CPU leaves them to that when it is back")
{
	static const struct back_way wake = { prepare_wake, send_wake, park_one, wake_other, check_wake };

	victim = back_target();
	if (!victim)
		return;
	stays = kthread_create_on_cpu(count_wakes, NULL, victim, "stays");
	REQUIRE(stays);
	kthread_set_per_cpu(stays);
	wake_up_process(stays);
	back_at_each_step(&wake);
	kthread_stop(stays);
}
