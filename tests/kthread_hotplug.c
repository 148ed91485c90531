/*
 * kthread_hotplug.c - the threads of a CPU that goes offline: those that may be anywhere go to
 * others, in whatever they are; those that may not keep the CPU, and cpu_down says so.
 *
 * The last CPU goes. Under load: kthread_hotplug_storm.c. CONFIG=rt: rt/rt_hotplug.c.
 */
#include <anyctx/cpu.h>
#include <anyctx/wait.h>
#include <arch/cpu.h>
#include <arch/time.h>
#include "kernel/tick.h"
#include "tests/hotplug.h"
#include "tests/kthread_hotplug.h"
#include "tests/test.h"

static unsigned int victim;
static u32 stop;

/* It begins on the CPU that is to go, and may be anywhere. */
static struct task *begin_there(int (*fn)(void *), void *arg, const char *name)
{
	return begin_on(victim, PRIO_NORMAL, fn, arg, name);
}

static bool wait_more(const u64 *count, u64 n)
{
	return wait_count(count, READ_ONCE(*count) + n);
}

/* ---- in every state ---- */

static u64 spins[2], woken, began, slept, before[NR_CPUS];
static struct completion begun;

static int spin(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		__atomic_fetch_add((u64 *)arg, 1, __ATOMIC_RELAXED);
		cpu_relax();
	}
	return 0;
}

static int park_and_count(void *arg)
{
	(void)arg;
	complete(&begun);
	while (!kthread_should_stop()) {
		park();
		__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
	}
	return (int)smp_processor_id();
}

static int sleep_long(void *arg)
{
	unsigned int cpu;

	began = tick_number(victim);
	complete(&begun);
	sleep_ticks((u64)arg);
	cpu = smp_processor_id();
	slept = tick_number(victim) - began + tick_number(0) - before[0];
	if (cpu)
		slept += tick_number(cpu) - before[cpu];
	return (int)cpu;
}

#define SLEEP 60
#define SLEEP_MOST (10 * SLEEP) /* others have their slices as well */

TEST(hotplug, threads_move, "threads that run, wait for their turn, are parked, sleep for a time or have not begun go to other CPUs")
{
	struct task *spinner[2], *parked, *sleeper, *new;

	victim = hotplug_victim();
	if (!victim)
		return;
	stop = 0;
	woken = slept = 0;
	init_completion(&begun);
	parked = begin_there(park_and_count, NULL, "parked");
	sleeper = begin_there(sleep_long, (void *)(u64)SLEEP, "sleeper");
	wait_for_completion(&begun);
	wait_for_completion(&begun);
	new = kthread_create_on_cpu(spin, &spins[0], victim, "new");
	REQUIRE(parked && sleeper && new);
	kthread_set_cpu(new, CPU_ANY);
	for (unsigned int i = 0; i < 2; i++) {
		spinner[i] = begin_there(spin, &spins[i], "spinner");
		REQUIRE(spinner[i]);
	}
	EXPECT(wait_more(&spins[0], 100) && wait_more(&spins[1], 100));
	for (unsigned int cpu = 0; cpu < victim; cpu++)
		before[cpu] = tick_number(cpu);
	EXPECT_EQ(cpu_down(victim), 0);
	EXPECT(!cpu_online(victim));
	for (unsigned int i = 0; i < 2; i++) {
		EXPECT(wait_more(&spins[i], 100));
		EXPECT(task_cpu(spinner[i]) != victim);
	}
	EXPECT_EQ(woken, 0);
	EXPECT(wake_up_process(parked));
	EXPECT(wait_count(&woken, 1));
	EXPECT(wake_up_process(new));
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < 2; i++)
		kthread_join(spinner[i]);
	kthread_join(new);
	EXPECT(kthread_join(sleeper) != (int)victim);
	EXPECT(kthread_stop(parked) != (int)victim);
	EXPECT_EQ(cpu_up(victim), 0);
	EXPECT(slept >= SLEEP && slept <= SLEEP_MOST);
	test_note("a sleep of %u ticks, in the middle of which its CPU went, took %lu", SLEEP, slept);
}

TEST(hotplug, thread_bound, "a thread bound to a CPU keeps it, whatever it does; none is made or bound there while it is offline")
{
	struct task *t, *other;
	u64 looks;

	victim = hotplug_victim();
	if (!victim)
		return;
	woken = 0;
	init_completion(&begun);
	t = kthread_run_on_cpu(park_and_count, NULL, victim, "bound");
	REQUIRE(t);
	wait_for_completion(&begun);
	looks = READ_ONCE(per_cpu_ptr(rq, victim)->looks);
	EXPECT_EQ(cpu_down(victim), -EBUSY);
	EXPECT_EQ(READ_ONCE(per_cpu_ptr(rq, victim)->looks), looks); /* said at once: it was not asked who keeps it */
	EXPECT(cpu_online(victim));
	wake_up_process(t);
	EXPECT(wait_count(&woken, 1));
	EXPECT_EQ(task_cpu(t), victim);
	other = kthread_run_on_cpu(park_and_count, NULL, victim, "another"); /* it is as it was before */
	REQUIRE(other);
	kthread_stop(other);
	EXPECT_EQ(kthread_set_cpu(t, CPU_ANY), 0);
	EXPECT_EQ(cpu_down(victim), 0);
	EXPECT_EQ(kthread_set_cpu(t, (int)victim), -EINVAL);
	EXPECT(!kthread_create_on_cpu(park_and_count, NULL, victim, "nowhere"));
	for (unsigned int i = 0; i < 3; i++) {
		other = kthread_run(park_and_count, NULL, "anywhere");
		REQUIRE(other);
		EXPECT(task_cpu(other) != victim);
		kthread_stop(other);
	}
	EXPECT(kthread_stop(t) != (int)victim);
	EXPECT_EQ(cpu_up(victim), 0);
	t = kthread_run_on_cpu(park_and_count, NULL, victim, "again");
	REQUIRE(t);
	EXPECT_EQ(kthread_stop(t), victim);
}

/* ---- pinned ---- */

static struct completion let_go;

static int pinned_asleep(void *arg)
{
	migrate_disable();
	complete(&begun);
	if (arg)
		schedule_timeout((s64)arg);
	else
		wait_for_completion(&let_go);
	EXPECT_EQ(smp_processor_id(), victim);
	migrate_enable();
	return 0;
}

static int pinned_busy(void *arg)
{
	u64 end;

	migrate_disable();
	complete(&begun);
	end = arch_ns() + (u64)arg;
	while (arch_ns() < end)
		cpu_relax();
	EXPECT_EQ(smp_processor_id(), victim);
	migrate_enable();
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		cpu_relax();
	return (int)smp_processor_id();
}

/* It goes, as those in its way end: a CPU that the host lets stand may take longer for it
 * than it is waited for, and only then it stays. */
static void goes_after_waiting(void)
{
	u64 start;
	int r;

	do {
		start = arch_ns();
		r = cpu_down(victim);
		EXPECT(r == 0 || (r == -EBUSY && arch_ns() - start >= CPU_DOWN_MS * 1000000UL));
	} while (r == -EBUSY);
	EXPECT(!cpu_online(victim));
}

TEST(hotplug, thread_pinned, "a CPU waits for threads in migrate_disable, asleep or busy above all others, and stays if they do not end")
{
	struct task *t;
	u64 start;

	victim = hotplug_victim();
	if (!victim)
		return;
	stop = 0;
	init_completion(&begun);
	init_completion(&let_go);
	t = begin_there(pinned_asleep, NULL, "pinned");
	wait_for_completion(&begun);
	start = arch_ns();
	EXPECT_EQ(cpu_down(victim), -EBUSY);
	EXPECT(arch_ns() - start >= CPU_DOWN_MS * 1000000UL);
	EXPECT(cpu_online(victim));
	complete(&let_go);
	kthread_join(t);
	t = begin_there(pinned_asleep, (void *)20UL, "pinned");
	wait_for_completion(&begun);
	goes_after_waiting();
	EXPECT_EQ(cpu_up(victim), 0);
	kthread_join(t);
	t = kthread_create_on_cpu(pinned_busy, (void *)20000000UL, victim, "busy");
	REQUIRE(t);
	kthread_set_cpu(t, CPU_ANY);
	sched_set_priority(t, PRIO_HIGHEST - 1);
	wake_up_process(t);
	sched_set_priority(current_task(), PRIO_HIGHEST); /* it may come here */
	wait_for_completion(&begun);
	goes_after_waiting();
	EXPECT(task_cpu(t) != victim);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	EXPECT(kthread_join(t) != (int)victim);
	sched_set_priority(current_task(), PRIO_NORMAL);
	EXPECT_EQ(cpu_up(victim), 0);
}

static int wants_cpus_lock(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		cpus_read_lock();
		__atomic_fetch_add(&spins[0], 1, __ATOMIC_RELAXED);
		cpus_read_unlock();
	}
	return 0;
}

TEST(hotplug, thread_wants_lock, "a thread of a CPU that goes, which wants that no CPU goes, gets by, and so does the CPU")
{
	struct task *t[3];

	victim = hotplug_victim();
	if (!victim)
		return;
	for (unsigned int round = 0; round < 10; round++) {
		stop = 0;
		for (unsigned int i = 0; i < 3; i++) {
			t[i] = begin_there(wants_cpus_lock, NULL, "wants");
			REQUIRE(t[i]);
		}
		EXPECT(wait_more(&spins[0], 10));
		EXPECT_EQ(cpu_down(victim), 0);
		EXPECT(wait_more(&spins[0], 10));
		__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
		for (unsigned int i = 0; i < 3; i++)
			kthread_join(t[i]);
		EXPECT_EQ(cpu_up(victim), 0);
	}
}

/* ---- a CPU's own ---- */

static int own(void *arg)
{
	(void)arg;
	while (!kthread_should_stop()) {
		migrate_disable();
		EXPECT_EQ(smp_processor_id(), victim);
		__atomic_fetch_add(&woken, 1, __ATOMIC_SEQ_CST);
		migrate_enable();
		schedule_timeout(arg ? 2 : WAIT_FOREVER);
	}
	return (int)smp_processor_id();
}

TEST(hotplug, thread_per_cpu, "a per-CPU thread stands still with its CPU and goes on there; what woke it meanwhile is not lost")
{
	struct task *t[2];
	u64 seen;

	victim = hotplug_victim();
	if (!victim)
		return;
	for (unsigned int i = 0; i < 2; i++) {
		t[i] = kthread_create_on_cpu(own, i ? t : NULL, victim, "own");
		REQUIRE(t[i]);
		kthread_set_per_cpu(t[i]);
		wake_up_process(t[i]);
	}
	woken = 0;
	for (unsigned int round = 0; round < 5; round++) {
		EXPECT(wait_more(&woken, 3));
		EXPECT_EQ(kthread_set_cpu(t[0], CPU_ANY), -EINVAL);
		EXPECT_EQ(cpu_down(victim), 0);
		seen = READ_ONCE(woken);
		for (unsigned int i = 0; i < 2; i++)
			wake_up_process(t[i]);
		schedule_timeout(20);
		EXPECT_EQ(READ_ONCE(woken), seen);
		EXPECT_EQ(cpu_up(victim), 0);
	}
	EXPECT(wait_more(&woken, 3));
	for (unsigned int i = 0; i < 2; i++)
		EXPECT_EQ(kthread_stop(t[i]), victim);
}
