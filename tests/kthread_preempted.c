/*
 * kthread_preempted.c - a thread is replaced in the middle of a call by one of a higher
 * priority, which waits for what that call has begun and does not let it go on meanwhile;
 * or it goes on on another CPU. So no call may leave to its thread's next instruction what
 * others wait for, unless it keeps the CPU.
 *
 * A debug exception behind each instruction in turn wakes the other thread, or asks for the
 * move; both happen before the next instruction, or where the CPU is let go.
 */
#include <anyctx/irq_work.h>
#include <anyctx/kthread.h>
#include <anyctx/rcupdate.h>
#include <arch/time.h>
#include "kernel/task.h"
#include "tests/kthread_step.h"
#include "tests/step.h"
#include "tests/test.h"

#define LIMIT_NS 1000000000UL /* what took that long would never have come */
#define MOST 3000             /* instructions of a call */

static bool in_time(bool (*over)(void))
{
	u64 start = arch_ns();

	while (!over()) {
		if (arch_ns() - start > LIMIT_NS)
			return false;
		cpu_relax();
	}
	return true;
}

/* ---- replaced by one that waits ---- */

static struct call {
	const char *name;
	void (*begin)(void *);    /* by both */
	bool (*over)(void);       /* what the other waits for */
} *call;

static struct task *waiter;
static u64 waits, in_vain;
static u64 grace_period;
static struct irq_work work;

static void no_work(struct irq_work *w)
{
	(void)w;
}

static void want_grace_period(void *arg)
{
	(void)arg;
	grace_period = start_poll_synchronize_rcu();
}

static bool grace_period_over(void)
{
	return poll_state_synchronize_rcu(grace_period);
}

static void queue_work(void *arg)
{
	(void)arg;
	irq_work_queue(&work);
}

static bool work_over(void)
{
	return !__atomic_load_n(&work.state, __ATOMIC_ACQUIRE);
}

static int wait_each_time(void *arg)
{
	(void)arg;
	for (;;) {
		park();
		if (kthread_should_stop())
			return 0;
		call->begin(NULL);
		in_vain += !in_time(call->over);
		waits++;
	}
}

static void wake_waiter(void)
{
	wake_up_process(waiter);
}

static int step_all(void *arg)
{
	u64 n = 0;

	(void)arg;
	do {
		EXPECT(in_time(call->over)); /* that of before */
	} while (disturbed_at(++n, call->begin, wake_waiter) && n < MOST);
	return (int)n;
}

static void replaced_in(struct call *c)
{
	struct task *t;
	int n;

	call = c;
	waits = in_vain = 0;
	waiter = kthread_run_on_cpu(wait_each_time, NULL, 0, "waiter");
	t = kthread_create_on_cpu(step_all, NULL, 0, "stepped");
	REQUIRE(waiter && t);
	sched_set_priority(waiter, PRIO_HIGHEST);
	wake_up_process(t);
	n = kthread_join(t);
	kthread_stop(waiter);
	test_note("%-28s %4d instructions, %4lu waits", c->name, n, waits);
	EXPECT_EQ(in_vain, 0);
	EXPECT(n > 10 && n < MOST && waits >= (u64)n - 1);
}

TEST(kthread, replaced_by_a_waiter,
     "who replaces a thread in the middle of asking for a grace period, or of queuing irq_work, may wait for that")
{
	static struct call calls[] = {
		{ "start_poll_synchronize_rcu", want_grace_period, grace_period_over },
		{ "irq_work_queue", queue_work, work_over },
	};

	if (!step_possible())
		return;
	init_irq_work(&work, no_work);
	steps_begin();
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
		replaced_in(&calls[i]);
	steps_end();
	irq_work_sync(&work);
}

/* ---- moved while it wakes a thread of a third CPU ---- */

static struct task *sleeper;
static u64 woken, wake_ups;
static bool stop;

static bool sleeper_woke(void)
{
	return __atomic_load_n(&woken, __ATOMIC_ACQUIRE) >= wake_ups;
}

static int sleep_again(void *arg)
{
	(void)arg;
	while (!kthread_should_stop()) {
		park();
		__atomic_fetch_add(&woken, 1, __ATOMIC_RELEASE);
	}
	return 0;
}

static int spin(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stop))
		cpu_relax();
	return 0;
}

static void wake_sleeper(void *arg)
{
	(void)arg;
	wake_up_process(sleeper);
}

static void move_stepped(void)
{
	kthread_set_cpu(current_task(), smp_processor_id() ? 0 : 1);
}

static int wake_all(void *arg)
{
	u64 lost = 0, n = 0;
	bool more;

	(void)arg;
	do {
		wake_ups = __atomic_load_n(&woken, __ATOMIC_ACQUIRE) + 1;
		more = disturbed_at(++n, wake_sleeper, move_stepped);
		if (!in_time(sleeper_woke)) {
			lost++;
			wake_up_process(sleeper);
			kthread_set_cpu(sleeper, 2); /* an interrupt, and with it the message that lies there */
			in_time(sleeper_woke);
		}
	} while (more && n < MOST);
	EXPECT_EQ(lost, 0);
	return (int)n;
}

TEST(kthread, moved_while_it_wakes,
     "a thread that moves to another CPU at any instruction of waking one of a third CPU wakes it; no interrupt is lost")
{
	struct task *spinner, *t;
	int n;

	if (num_online_cpus() < 3) {
		test_skip("needs three CPUs");
		return;
	}
	if (!step_possible())
		return;
	stop = false;
	woken = 0;
	sleeper = kthread_run_on_cpu(sleep_again, NULL, 2, "sleeper");
	spinner = kthread_run_on_cpu(spin, NULL, 2, "spinner");
	t = kthread_create(wake_all, NULL, "stepped");
	REQUIRE(sleeper && spinner && t);
	sched_set_priority(sleeper, PRIO_HIGHEST);
	kthread_set_cpu(t, 0);
	steps_begin();
	wake_up_process(t);
	n = kthread_join(t);
	steps_end();
	WRITE_ONCE(stop, true);
	kthread_join(spinner);
	kthread_stop(sleeper);
	test_note("%d instructions", n);
	EXPECT(n > 10 && n < MOST);
}
