/*
 * kthread.c - threads: made and joined, by priority, in turns, preempted, put to sleep,
 * woken from every context, moved to other CPUs.
 *
 * The case itself is the first thread of CPU 0, of normal priority; what it makes runs
 * there too while it sleeps, or instead of it if its priority is higher.
 */
#include <anyctx/wait.h>
#include <arch/cpu.h>
#include "kernel/task.h"
#include "kernel/tick.h"
#include "kernel/run_in.h"
#include "tests/test.h"

#define LAST_CPU (num_online_cpus() - 1)

static u64 order[64];
static u32 n_order;

static void note(u64 what)
{
	u32 i = __atomic_fetch_add(&n_order, 1, __ATOMIC_SEQ_CST);

	if (i < ARRAY_SIZE(order))
		order[i] = what;
}

static int give_back(void *arg)
{
	return (int)(u64)arg;
}

TEST(kthread, join, "a thread runs once, with its argument, and its result comes back; a hundred one after another")
{
	for (u64 i = 0; i < 100; i++) {
		struct task *t = kthread_run_on_cpu(give_back, (void *)i, (unsigned int)i % num_online_cpus(), "join");

		REQUIRE(t);
		EXPECT_EQ(kthread_join(t), i);
	}
}

TEST(kthread, pool, "NULL when all threads are in use, and again a thread when one has ended; no memory is taken")
{
	struct task *t[128];
	u64 free = nr_free_pages();
	unsigned int n = 0;

	while (n < ARRAY_SIZE(t) && (t[n] = kthread_create(give_back, (void *)(u64)n, "pool")) != NULL)
		n++;
	EXPECT(n >= 1 && n < ARRAY_SIZE(t));
	EXPECT_EQ(nr_free_pages(), free);
	EXPECT(!kthread_run(give_back, NULL, "one more"));
	EXPECT(!kthread_run_on_cpu(give_back, NULL, num_online_cpus(), "no such CPU"));
	for (unsigned int i = 0; i < n; i++)
		EXPECT(wake_up_process(t[i]));
	for (unsigned int i = 0; i < n; i++)
		EXPECT_EQ(kthread_join(t[i]), i);
	t[0] = kthread_run(give_back, (void *)7UL, "again");
	REQUIRE(t[0]);
	EXPECT_EQ(kthread_join(t[0]), 7);
	test_note("%u threads", n);
}

/* ---- priority ---- */

static int note_self(void *arg)
{
	note((u64)arg);
	return 0;
}

TEST(kthread, priorities, "of threads that could run, the highest priority runs first, whatever the order they came in")
{
	static const unsigned int prio[] = { 3, 17, 9, 31, 12, 1 };
	struct task *t[ARRAY_SIZE(prio)];
	bool higher = true;

	n_order = 0;
	preempt_disable();
	for (unsigned int i = 0; i < ARRAY_SIZE(prio); i++) {
		t[i] = kthread_create_on_cpu(note_self, (void *)(u64)prio[i], 0, "prio");
		EXPECT(t[i] != NULL);
		sched_set_priority(t[i], prio[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(prio); i++)
		wake_up_process(t[i]);
	EXPECT_EQ(n_order, 0);
	preempt_enable(); /* now those above this thread, at once */
	EXPECT_EQ(n_order, 4);
	for (unsigned int i = 0; i < ARRAY_SIZE(prio); i++)
		kthread_join(t[i]);
	REQUIRE(n_order == ARRAY_SIZE(prio));
	for (unsigned int i = 1; i < ARRAY_SIZE(prio); i++)
		higher &= order[i - 1] > order[i];
	EXPECT(higher);
}

static u64 spins[4];
static u32 stop_spinning;

static int spin(void *arg)
{
	while (!__atomic_load_n(&stop_spinning, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add((u64 *)arg, 1, __ATOMIC_RELAXED);
		cpu_relax();
	}
	return 0;
}

TEST(kthread, round_robin, "threads of equal priority that never sleep all get on, by the tick; one below them does not")
{
	struct task *t[4];
	u64 start = tick_number(0), most = 0, least = ~0UL;

	for (unsigned int i = 0; i < 4; i++)
		spins[i] = 0;
	stop_spinning = 0;
	for (unsigned int i = 0; i < 4; i++) {
		t[i] = kthread_create_on_cpu(spin, &spins[i], 0, "spin");
		REQUIRE(t[i]);
		sched_set_priority(t[i], i < 3 ? PRIO_NORMAL : PRIO_NORMAL - 1);
		wake_up_process(t[i]);
	}
	while (tick_number(0) - start < 40 * SCHED_SLICE)
		cpu_relax();
	__atomic_store_n(&stop_spinning, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < 3; i++) {
		most = spins[i] > most ? spins[i] : most;
		least = spins[i] < least ? spins[i] : least;
	}
	EXPECT(least > 0);
	EXPECT_EQ(spins[3], 0);
	for (unsigned int i = 0; i < 4; i++)
		kthread_join(t[i]);
	test_note("rounds: %lu to %lu", least, most);
}

/* ---- preemption ---- */

static u64 flag_at, high_ran;

static int high(void *arg)
{
	(void)arg;
	for (;;) {
		if (kthread_should_stop())
			return 0;
		park();
		high_ran++;
	}
}

static struct task *high_thread;

static void wake_high(void *unused)
{
	(void)unused;
	wake_up_process(high_thread);
}

TEST(kthread, preemption, "a thread of higher priority, woken from any context, runs before the interrupted one goes on")
{
	high_thread = kthread_create_on_cpu(high, NULL, 0, "high");
	REQUIRE(high_thread);
	sched_set_priority(high_thread, PRIO_HIGHEST);
	wake_up_process(high_thread);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (u64 i = 0; i < 50; i++) {
			u64 before = READ_ONCE(high_ran);

			run_in((enum context)ctx, 0, wake_high, NULL);
			EXPECT(READ_ONCE(high_ran) == before + 1);
		}
	flag_at = READ_ONCE(high_ran);
	preempt_disable();
	wake_up_process(high_thread);
	EXPECT_EQ(READ_ONCE(high_ran), flag_at);
	preempt_enable();
	EXPECT_EQ(READ_ONCE(high_ran), flag_at + 1);
	arch_irq_disable();
	wake_up_process(high_thread);
	EXPECT_EQ(READ_ONCE(high_ran), flag_at + 1);
	arch_irq_enable();
	barrier();
	cpu_relax();
	EXPECT_EQ(READ_ONCE(high_ran), flag_at + 2);
	kthread_stop(high_thread);
}

TEST(kthread, wake_from_everywhere, "a thread of another CPU is woken from every context of each CPU, and no wake-up is lost")
{
	high_ran = 0;
	high_thread = kthread_run_on_cpu(high, NULL, LAST_CPU, "wake");
	REQUIRE(high_thread);
	sched_set_priority(high_thread, PRIO_HIGHEST);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (u64 i = 0; i < 100; i++) {
			u64 before = READ_ONCE(high_ran);

			run_in((enum context)ctx, (unsigned int)i % num_online_cpus(), wake_high, NULL);
			while (READ_ONCE(high_ran) == before)
				cpu_relax();
		}
	kthread_stop(high_thread);
	EXPECT(high_ran >= 400);
}

/* ---- sleep ---- */

static int sleep_and_note(void *arg)
{
	u64 ticks = (u64)arg, start = tick_number(smp_processor_id());

	sleep_ticks(ticks);
	EXPECT(tick_number(smp_processor_id()) - start >= ticks);
	note(ticks);
	return 0;
}

TEST(kthread, sleep_order, "threads that sleep wake in the order of their times, none too early")
{
	static const u64 ticks[] = { 30, 5, 45, 20, 60 };
	struct task *t[ARRAY_SIZE(ticks)];

	n_order = 0;
	preempt_disable(); /* all begin to sleep within a tick or two */
	for (unsigned int i = 0; i < ARRAY_SIZE(ticks); i++) {
		t[i] = kthread_run_on_cpu(sleep_and_note, (void *)ticks[i], 0, "sleep");
		EXPECT(t[i] != NULL);
		sched_set_priority(t[i], PRIO_NORMAL + 1);
	}
	preempt_enable();
	for (unsigned int i = 0; i < ARRAY_SIZE(ticks); i++)
		kthread_join(t[i]);
	for (unsigned int i = 1; i < ARRAY_SIZE(ticks); i++)
		EXPECT(order[i - 1] < order[i]);
	EXPECT_EQ(schedule_timeout(0), 0);
	wake_up_process(current_task());
	EXPECT(schedule_timeout(1000) > 0); /* it was woken before */
	EXPECT_EQ(schedule_timeout(2), 0);
}

/* ---- completions and queues ---- */

static struct completion done, there;
static struct wait_queue_head queue;
static u64 level;

static int wait_done(void *arg)
{
	(void)arg;
	wait_for_completion(&done);
	complete(&there);
	return 0;
}

static void do_complete(void *unused)
{
	(void)unused;
	complete(&done);
}

TEST(kthread, completion, "each complete, from any context and CPU, lets one waiter go, before or after it waits")
{
	struct task *t[8];

	init_completion(&done);
	init_completion(&there);
	for (unsigned int i = 0; i < 8; i++) {
		t[i] = kthread_run_on_cpu(wait_done, NULL, i % num_online_cpus(), "waits");
		REQUIRE(t[i]);
	}
	for (unsigned int i = 0; i < 8; i++) {
		EXPECT(!wait_for_completion_timeout(&there, 3));
		run_in((enum context)(i % NR_CONTEXT), i / NR_CONTEXT ? LAST_CPU : 0, do_complete, NULL);
		wait_for_completion(&there);
	}
	for (unsigned int i = 0; i < 8; i++)
		kthread_join(t[i]);
	complete(&done);
	EXPECT(wait_for_completion_timeout(&done, 0));
	EXPECT(!wait_for_completion_timeout(&done, 0));
	complete_all(&done);
	for (unsigned int i = 0; i < 3; i++)
		wait_for_completion(&done);
}

static int climb(void *arg)
{
	for (u64 i = (u64)arg; i < 400; i += 4) {
		wait_event(queue, READ_ONCE(level) == i);
		WRITE_ONCE(level, i + 1);
		wake_up_all(&queue);
	}
	return 0;
}

TEST(kthread, wait_queue, "four threads on all CPUs hand a number on, four hundred times, each waiting for its turn")
{
	struct task *t[4];

	level = 0;
	for (u64 i = 0; i < 4; i++) {
		t[i] = kthread_run_on_cpu(climb, (void *)i, (unsigned int)i % num_online_cpus(), "climb");
		REQUIRE(t[i]);
	}
	for (unsigned int i = 0; i < 4; i++)
		kthread_join(t[i]);
	EXPECT_EQ(level, 400);
	EXPECT(!wait_event_timeout(queue, READ_ONCE(level) == 0, 3));
}

static u32 looks;

/* False, as it was when asked; but it has become true meanwhile, and nobody waited yet. */
static bool true_too_late(void)
{
	if (looks++)
		return true;
	wake_up_all(&queue);
	return false;
}

TEST(kthread, wait_looks_twice, "a condition that becomes true between the look at it and the wait is seen at once")
{
	looks = 0;
	EXPECT(wait_event_timeout(queue, true_too_late(), 20));
	EXPECT_EQ(looks, 3); /* before, on the queue, and off it again */
}

/* ---- moving ---- */

static int wander(void *arg)
{
	u64 seen = 0;

	(void)arg;
	EXPECT_EQ(kthread_set_cpu(current_task(), (int)num_online_cpus()), (u64)-EINVAL);
	for (unsigned int i = 0; i < 200; i++) {
		unsigned int cpu = i % num_online_cpus();

		EXPECT_EQ(kthread_set_cpu(current_task(), (int)cpu), 0);
		EXPECT_EQ(smp_processor_id(), cpu);
		EXPECT_EQ(task_cpu(current_task()), cpu);
		seen |= 1UL << smp_processor_id();
	}
	migrate_disable();
	kthread_set_cpu(current_task(), 0);
	EXPECT_EQ(smp_processor_id(), 199 % num_online_cpus());
	migrate_enable();
	while (smp_processor_id())
		cpu_relax();
	return (int)seen;
}

TEST(kthread, migration, "a thread goes to each CPU that it asks for, and stays while migrate_disable says so")
{
	struct task *t = kthread_run(wander, NULL, "wander");

	REQUIRE(t);
	EXPECT_EQ(kthread_join(t), (1u << num_online_cpus()) - 1);
	EXPECT_EQ(kthread_set_cpu(current_task(), 0), (u64)-EINVAL);
}

static u64 visits[NR_CPUS];

static int note_where(void *arg)
{
	(void)arg;
	while (!kthread_should_stop())
		__atomic_fetch_add(&visits[smp_processor_id()], 1, __ATOMIC_RELAXED);
	return 0;
}

TEST(kthread, moved_by_others, "a thread that runs, waits for its turn or sleeps is moved by another, and loses nothing")
{
	struct task *t = kthread_run_on_cpu(note_where, NULL, LAST_CPU, "moved");
	struct task *s = kthread_run_on_cpu(high, NULL, LAST_CPU, "sleeps");

	REQUIRE(t && s);
	high_ran = 0;
	for (unsigned int i = 0; i < 100; i++) {
		unsigned int cpu = i % num_online_cpus();
		u64 was = READ_ONCE(visits[cpu]), ran = READ_ONCE(high_ran);

		kthread_set_cpu(t, (int)cpu);
		kthread_set_cpu(s, (int)cpu);
		wake_up_process(s);
		while (READ_ONCE(high_ran) == ran || READ_ONCE(visits[cpu]) < was + 2)
			yield();
		EXPECT_EQ(task_cpu(t), cpu);
		EXPECT_EQ(task_cpu(s), cpu);
	}
	kthread_stop(t);
	kthread_stop(s);
}
