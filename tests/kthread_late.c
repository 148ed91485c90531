/*
 * kthread_late.c - a waker that has let a waiter go, and wakes it late: when it has ended and
 * another thread has its place, that is not started.
 *
 * The waker is on CPU 1, in single steps, and is stopped behind its last access to the waiter's
 * entry. The waiter has a token of somebody else's, so it goes on.
 */
#include <anyctx/wait.h>
#include <arch/cpu.h>
#include <arch/debug.h>
#include "kernel/hooks.h"
#include "kernel/task.h"
#include "tests/step.h"
#include "tests/test.h"

static struct wait_queue_head queue;
static struct wait_entry entry;
static u64 steps, stop_at; /* since the waiter was let go */
static u32 stopped, go_on, returned, ran;

static int wait_once(void *unused)
{
	s64 ticks = WAIT_FOREVER;

	(void)unused;
	wait_enter(&queue, &entry);
	wait_sleep(&queue, &entry, &ticks);
	return 0;
}

static int note_run(void *unused)
{
	(void)unused;
	__atomic_fetch_add(&ran, 1, __ATOMIC_SEQ_CST);
	return 0;
}

static bool stop_waker(struct regs *r, u64 dr6)
{
	(void)r;
	if (smp_processor_id() != 1 || !(dr6 & DR6_SINGLE_STEP))
		return false;
	arch_debug_undisturbed();
	if (__atomic_load_n(&entry.queued, __ATOMIC_ACQUIRE) || ++steps != stop_at)
		return true;
	__atomic_store_n(&stopped, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
		cpu_relax();
	return true;
}

static void wake_all(void *unused)
{
	(void)unused;
	wake_up_all(&queue);
}

static void waker(void *unused)
{
	(void)unused;
	call_stepping(wake_all, NULL);
	__atomic_store_n(&returned, 1, __ATOMIC_RELEASE);
}

static void let_waker_go(void)
{
	__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
	cpu_thread_wait(1);
}

/* It is the waker's no more, so it ends; another has its place, and is not woken. */
static void replace(struct task *waiter)
{
	struct task *next;

	EXPECT(wake_up_process(waiter));
	kthread_join(waiter);
	next = kthread_create(note_run, NULL, "next");
	EXPECT(next == waiter); /* the first place that is free */
	let_waker_go();
	if (!next)
		return;
	schedule_timeout(1);
	if (ran)
		test_fail(__FILE__, __LINE__, "a waker stopped at step %lu starts a thread that it does not know", stop_at);
	EXPECT(wake_up_process(next));
	kthread_join(next);
	EXPECT_EQ(ran, 1);
}

/* False: the waker has found the waiter by that step. */
static bool wake_late(u64 at)
{
	struct task *waiter = kthread_run_on_cpu(wait_once, NULL, 0, "waiter");
	bool early;

	EXPECT(waiter != NULL);
	if (!waiter)
		return false;
	while (__atomic_load_n(&waiter->state, __ATOMIC_SEQ_CST) != TASK_PARKED)
		schedule_timeout(1);
	steps = 0;
	stop_at = at;
	stopped = go_on = returned = ran = 0;
	cpu_thread_run(1, waker, NULL);
	while (!__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) && !__atomic_load_n(&returned, __ATOMIC_ACQUIRE))
		cpu_relax();
	early = stopped && __atomic_load_n(&waiter->state, __ATOMIC_SEQ_CST) == TASK_PARKED;
	if (early) {
		replace(waiter);
		return true;
	}
	let_waker_go();
	kthread_join(waiter);
	return false;
}

TEST(kthread, late_waker, "a waker held up behind its last look at a waiter does not start the thread that has its place by then")
{
	u64 at = 1;

	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	if (!step_possible())
		return;
	set_trap_hook(stop_waker);
	while (wake_late(at))
		at++;
	set_trap_hook(NULL);
	hook_sync();
	EXPECT(at > 3);
	test_note("stopped at %lu instructions", at - 1);
}
