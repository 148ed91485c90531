/*
 * kthread_hotplug_help.c - threads that park on a CPU that goes, breakpoints there
 * (kthread_hotplug.h).
 */
#include "tests/kthread_hotplug.h"
#include <anyctx/cpu.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "tests/test.h"

#define LIMIT_TICKS 20000 /* until something counts as not happening */

struct task *begin_on(unsigned int cpu, unsigned int prio, int (*fn)(void *), void *arg, const char *name)
{
	struct task *t = kthread_create_on_cpu(fn, arg, cpu, name);

	EXPECT(t != NULL);
	if (t) {
		kthread_set_cpu(t, CPU_ANY);
		sched_set_priority(t, prio);
		wake_up_process(t);
	}
	return t;
}

bool wait_count(const u64 *count, u64 n)
{
	for (s64 left = LIMIT_TICKS; __atomic_load_n(count, __ATOMIC_ACQUIRE) < n; left--) {
		if (!left)
			return false;
		schedule_timeout(1);
	}
	return true;
}

static int sleep_and_count(void *arg)
{
	struct sleeper *s = arg;

	while (!kthread_should_stop()) {
		park();
		WRITE_ONCE(s->ran_on, smp_processor_id());
		__atomic_fetch_add(&s->runs, 1, __ATOMIC_RELEASE);
	}
	return 0;
}

bool sleeper_begin(struct sleeper *s, unsigned int prio)
{
	s->runs = 0;
	s->task = kthread_create(sleep_and_count, s, "sleeper");
	if (!s->task)
		return false;
	sched_set_priority(s->task, prio);
	wake_up_process(s->task);
	return true;
}

void sleeper_end(struct sleeper *s)
{
	kthread_stop(s->task);
}

static bool nothing_runs(unsigned int cpu)
{
	for (s64 left = LIMIT_TICKS; left; left--) {
		if (READ_ONCE(per_cpu_ptr(rq, cpu)->curr)->first)
			return true;
		schedule_timeout(1);
	}
	return false;
}

void sleeper_park_on(struct sleeper *s, unsigned int cpu)
{
	u64 runs = READ_ONCE(s->runs);

	EXPECT_EQ(kthread_set_cpu(s->task, (int)cpu), 0);
	wake_up_process(s->task);
	EXPECT(wait_count(&s->runs, runs + 1));
	while (__atomic_load_n(&s->task->state, __ATOMIC_SEQ_CST) != TASK_PARKED)
		schedule_timeout(1);
	EXPECT_EQ(kthread_set_cpu(s->task, CPU_ANY), 0);
	EXPECT(nothing_runs(cpu));
	EXPECT_EQ(task_cpu(s->task), cpu);
}

/* ---- breakpoints ---- */

struct break_request {
	const void *fn;
	int err;
};

static void set_break(void *arg)
{
	struct break_request *b = arg;

	b->err = arch_hw_break_set(0, b->fn, HW_BREAK_EXEC, 1);
}

void break_on(unsigned int cpu, const void *fn)
{
	struct break_request b = { .fn = fn, .err = -1 };

	smp_call_function_single(cpu, set_break, &b, true);
	EXPECT_EQ(b.err, 0);
}

bool break_possible(void)
{
	if (!arch_hw_break_set(0, sleeper_end, HW_BREAK_EXEC, 1)) {
		arch_hw_break_clear(0);
		return true;
	}
	test_skip("no breakpoints here");
	return false;
}

bool at_park(u64 rip)
{
	return rip - (u64)arch_park < 8;
}
