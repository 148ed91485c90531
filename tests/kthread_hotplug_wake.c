/*
 * kthread_hotplug_wake.c - a wake-up and a CPU that goes, each stopped at its instructions
 * while the other makes its part: the thread runs, at once, on another CPU.
 *
 * The waker is stopped by a preemption, behind which its thread does not run until the CPU
 * has gone. The CPU is stopped by debug exceptions, whose handler wakes: as an NMI does, or
 * in two parts, as another CPU's waker that has read where the thread is, and sends it there
 * later. So nothing here is left to chance.
 */
#include <anyctx/cpu.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/sched.h"
#include "lib/string.h"
#include "tests/hotplug.h"
#include "tests/inject.h"
#include "tests/kthread_hotplug.h"
#include "tests/test.h"

static unsigned int victim;

/* ---- the waker stopped ---- */

#define PLACES 40

static struct sleeper woken;
static struct task *waker, *keeper, *tester;
static u64 steps, stop_at;
static u32 stopped, finished, keep;

static void wake(void *unused)
{
	(void)unused;
	EXPECT(wake_up_process(woken.task));
}

static int wake_stepping(void *unused)
{
	(void)unused;
	call_stepping(wake, NULL);
	__atomic_store_n(&finished, 1, __ATOMIC_SEQ_CST);
	wake_up_process(tester);
	return 0;
}

/* Above the waker, below the tester: while the tester sleeps, the waker does not go on. */
static int keep_cpu(void *unused)
{
	(void)unused;
	while (!kthread_should_stop()) {
		park();
		while (__atomic_load_n(&keep, __ATOMIC_ACQUIRE))
			cpu_relax();
	}
	return 0;
}

static bool stop_waker(struct regs *r, u64 dr6)
{
	if (!(dr6 & DR6_SINGLE_STEP))
		return false;
	arch_debug_undisturbed();
	if (current_task() != waker)
		return true;
	steps++;
	if (steps == stop_at) {
		__atomic_store_n(&keep, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&stopped, 1, __ATOMIC_SEQ_CST);
		wake_up_process(keeper);
		wake_up_process(tester);
	}
	if (steps >= stop_at)
		r->rflags &= ~RFLAGS_TF;
	return true;
}

static void begin_waker(u64 at)
{
	steps = 0;
	stop_at = at;
	stopped = finished = 0;
	waker = kthread_create_on_cpu(wake_stepping, NULL, 0, "waker");
	EXPECT(waker != NULL);
	if (!waker)
		return;
	sched_set_priority(waker, PRIO_LEAST);
	wake_up_process(waker);
	while (!__atomic_load_n(&stopped, __ATOMIC_SEQ_CST) && !__atomic_load_n(&finished, __ATOMIC_SEQ_CST))
		park();
}

/* False: the waker was through before, or the thread was lost. */
static bool stop_and_go(u64 at)
{
	bool ran, went_first = false;
	u64 runs;

	sleeper_park_on(&woken, victim);
	runs = woken.runs;
	begin_waker(at);
	if (stopped) {
		EXPECT_EQ(cpu_down(victim), 0);
		EXPECT(!finished);
		went_first = READ_ONCE(woken.runs) == runs;
	}
	__atomic_store_n(&keep, 0, __ATOMIC_RELEASE);
	ran = wait_count(&woken.runs, runs + 1);
	if (!ran)
		test_fail(__FILE__, __LINE__, "woken, stopped at step %lu, it does not run", at);
	if (went_first && ran)
		EXPECT(woken.ran_on != victim);
	EXPECT_EQ(cpu_up(victim), 0);
	kthread_join(waker);
	return stopped && ran;
}

TEST(hotplug, waker_stopped, "a wake-up stopped before an instruction of its while the thread's CPU goes is not lost, at any of them")
{
	u64 n, stride, runs = 0;

	victim = hotplug_victim();
	if (!victim || !step_possible())
		return;
	tester = current_task();
	keep = 0;
	keeper = kthread_run_on_cpu(keep_cpu, NULL, 0, "keeper");
	REQUIRE(keeper && sleeper_begin(&woken, PRIO_NORMAL));
	sched_set_priority(tester, PRIO_HIGHEST);
	set_trap_hook(stop_waker);
	stop_and_go(~0UL);
	n = steps;
	stride = inject_full ? 1 : n / PLACES + 1;
	for (u64 at = 1; at <= n && stop_and_go(at); at += stride)
		runs++;
	set_trap_hook(NULL);
	hook_sync();
	sched_set_priority(tester, PRIO_NORMAL);
	sleeper_end(&woken);
	kthread_stop(keeper);
	EXPECT(n > 10 && runs > 10);
	test_note("%lu instructions, stopped at %lu of them", n, runs);
}

/* ---- the CPU stopped ---- */

#define WHOLE 3   /* are woken as by an NMI */
#define PARTS 3   /* or had been found on that CPU before, and are sent there */
#define SLEEPERS (WHOLE + PARTS)
#define RUNS 8

static struct sleeper sleepers[SLEEPERS];
static u64 at_step[SLEEPERS];
static u64 all_steps, left_at; /* and at which of them the bit was cleared */
static u32 asleep;
static bool sent[SLEEPERS];

/* The first part of wake_up_process. */
static void found_parked(struct task *t)
{
	u32 parked = TASK_PARKED;

	EXPECT(__atomic_compare_exchange_n(&t->state, &parked, TASK_RUNNABLE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	EXPECT_EQ(READ_ONCE(t->cpu), victim);
}

/* At the last step those that are left: the way may have been shorter this time. */
static void wake_some(bool last)
{
	for (unsigned int i = 0; i < SLEEPERS; i++) {
		if (sent[i] || (at_step[i] > all_steps && !last))
			continue;
		sent[i] = true;
		if (i < WHOLE)
			EXPECT(wake_up_process(sleepers[i].task));
		else
			sched_send(sleepers[i].task, victim);
	}
}

static bool on_its_way(struct regs *r, u64 dr6)
{
	if (smp_processor_id() != victim)
		return false;
	arch_debug_undisturbed();
	if (!(dr6 & DR6_SINGLE_STEP)) {
		arch_hw_break_clear(0);
		r->rflags |= RFLAGS_TF;
		for (unsigned int i = WHOLE; i < SLEEPERS; i++)
			found_parked(sleepers[i].task);
	}
	if (!left_at && !cpu_online(victim))
		left_at = all_steps;
	wake_some(at_park(r->rip));
	all_steps++;
	if (at_park(r->rip)) {
		r->rflags &= ~RFLAGS_TF;
		__atomic_store_n(&asleep, 1, __ATOMIC_RELEASE);
	}
	return true;
}

static bool all_ran(const u64 *runs)
{
	for (unsigned int i = 0; i < SLEEPERS; i++) {
		if (!wait_count(&sleepers[i].runs, runs[i] + 1)) {
			test_fail(__FILE__, __LINE__, "thread %u, woken at step %lu of %lu, does not run", i,
				  at_step[i], all_steps);
			return false;
		}
		EXPECT(sleepers[i].ran_on != victim);
	}
	return true;
}

/* Each is woken at its step. */
static bool go_once(void)
{
	u64 runs[SLEEPERS];
	bool all;

	for (unsigned int i = 0; i < SLEEPERS; i++) {
		sleeper_park_on(&sleepers[i], victim);
		runs[i] = sleepers[i].runs;
	}
	all_steps = left_at = 0;
	asleep = 0;
	memset(sent, 0, sizeof(sent));
	break_on(victim, sched_leave);
	EXPECT_EQ(cpu_down(victim), 0);
	while (!__atomic_load_n(&asleep, __ATOMIC_ACQUIRE))
		schedule_timeout(1);
	all = all_ran(runs);
	EXPECT_EQ(cpu_up(victim), 0);
	return all;
}

/* Those woken as a whole in the part where the CPU still takes threads; the others, anywhere. */
static void choose_steps(u64 run, u64 runs, u64 leave, u64 all)
{
	for (unsigned int i = 0; i < SLEEPERS; i++) {
		u64 range = i < WHOLE || run % 2 ? leave : all, nr = i < WHOLE ? WHOLE : PARTS;

		at_step[i] = (i % nr * runs + run) * range / (nr * runs);
	}
}

TEST(hotplug, woken_on_the_way, "threads of a CPU on its way offline that are woken at one of its instructions run elsewhere, at once")
{
	u64 runs = 0, most, n, leave;

	victim = hotplug_victim();
	if (!victim || !step_possible() || !break_possible())
		return;
	for (unsigned int i = 0; i < SLEEPERS; i++)
		REQUIRE(sleeper_begin(&sleepers[i], PRIO_NORMAL));
	memset(at_step, 0, sizeof(at_step));
	set_trap_hook(on_its_way);
	if (go_once()) {
		n = all_steps;
		leave = left_at;
		EXPECT(leave > 100 && n > leave);
		most = inject_full ? leave / WHOLE + 1 : RUNS;
		do
			choose_steps(runs, most, leave, n);
		while (go_once() && ++runs < most);
		test_note("%lu instructions, %lu up to the commit; %lu threads woken", n, leave, runs * SLEEPERS);
	}
	set_trap_hook(NULL);
	hook_sync();
	for (unsigned int i = 0; i < SLEEPERS; i++)
		sleeper_end(&sleepers[i]);
	EXPECT(runs > 0);
}
