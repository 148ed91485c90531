/*
 * smp_call.c - tests of calls to other CPUs.
 */
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "tests/test.h"

#define WAIT_NS 5000000000UL

static u64 calls[NR_CPUS], bad;

static void clear(void)
{
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		calls[cpu] = 0;
	bad = 0;
}

static void note_call(void *info)
{
	for (u64 i = 0; i < (calls[smp_processor_id()] & 63); i++)
		cpu_relax(); /* who does not wait for the end is found out */
	if (info != calls || !arch_irqs_disabled())
		__atomic_fetch_add(&bad, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&calls[smp_processor_id()], 1, __ATOMIC_SEQ_CST);
}

static void expect_calls(unsigned int first, u64 n)
{
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		EXPECT_EQ(calls[cpu], cpu >= first && cpu < num_online_cpus() ? n : 0);
	EXPECT_EQ(bad, 0);
}

TEST(smp_call, others, "smp_call_function runs once on every other CPU before it returns")
{
	clear();
	for (u64 i = 1; i <= 100; i++) {
		EXPECT_EQ(smp_call_function(note_call, calls, true), 0);
		expect_calls(1, i);
	}
}

#define LONG_NS 20000000UL

/* So long that whoever does not wait for its end is back before. */
static void note_call_late(void *info)
{
	u64 end = arch_ns() + LONG_NS;

	while (arch_ns() < end)
		cpu_relax();
	note_call(info);
}

TEST(smp_call, waits_for_the_end, "a call that is waited for is over when the function has returned, not before")
{
	clear();
	for (u64 i = 1; i <= 5; i++) {
		EXPECT_EQ(smp_call_function(note_call_late, calls, true), 0);
		expect_calls(1, i);
	}
}

TEST(smp_call, all, "on_each_cpu runs on every CPU with this one")
{
	clear();
	for (u64 i = 1; i <= 50; i++) {
		on_each_cpu(note_call, calls, true);
		expect_calls(0, i);
	}
}

TEST(smp_call, single, "smp_call_function_single runs on the CPU named, this one too, and on no other")
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		clear();
		EXPECT_EQ(smp_call_function_single(cpu, note_call, calls, true), 0);
		EXPECT_EQ(calls[cpu], 1);
		calls[cpu] = 0;
		expect_calls(0, 0);
	}
	EXPECT_EQ(smp_call_function_single(num_online_cpus(), note_call, calls, true), -EINVAL);
}

static bool wait_calls(unsigned int cpu, u64 n)
{
	u64 end = arch_ns() + WAIT_NS;

	while (__atomic_load_n(&calls[cpu], __ATOMIC_SEQ_CST) < n && arch_ns() < end)
		cpu_relax();
	return __atomic_load_n(&calls[cpu], __ATOMIC_SEQ_CST) == n;
}

static u64 begun, go_on;

static void hold_on(void *unused)
{
	(void)unused;
	__atomic_store_n(&begun, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
		cpu_relax();
}

TEST(smp_call, again_inside, "a CPU that is in the function of one call can be called again without waiting")
{
	for (unsigned int cpu = 1; cpu < num_online_cpus(); cpu++) {
		clear();
		begun = go_on = 0;
		EXPECT_EQ(smp_call_function_single(cpu, hold_on, NULL, false), 0);
		while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
			cpu_relax();
		EXPECT_EQ(smp_call_function_single(cpu, note_call, calls, false), 0);
		__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
		EXPECT(wait_calls(cpu, 1));
	}
}

TEST(smp_call, none_if_not_all, "a call to all that cannot be made calls nobody, and leaves all others free to be called")
{
	unsigned int last = num_online_cpus() - 1;

	if (last < 2) {
		test_skip("needs three CPUs");
		return;
	}
	clear();
	begun = go_on = 0;
	EXPECT_EQ(smp_call_function_single(last, hold_on, NULL, false), 0);
	while (!__atomic_load_n(&begun, __ATOMIC_ACQUIRE))
		cpu_relax();
	EXPECT_EQ(smp_call_function_single(last, note_call, calls, false), 0);
	EXPECT_EQ(smp_call_function(note_call, calls, false), -EAGAIN);
	for (unsigned int cpu = 1; cpu < last; cpu++)
		EXPECT_EQ(smp_call_function_single(cpu, note_call, calls, false), 0);
	__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
	for (unsigned int cpu = 1; cpu <= last; cpu++)
		EXPECT(wait_calls(cpu, 1));
}

TEST(smp_call, no_wait, "calls that nobody waits for all run, and -EAGAIN means not called")
{
	u64 done = 0, again = 0, end = arch_ns() + 50000000;

	clear();
	while (arch_ns() < end) {
		if (smp_call_function(note_call, calls, false))
			again++;
		else
			done++;
	}
	for (unsigned int cpu = 1; cpu < num_online_cpus(); cpu++)
		EXPECT(wait_calls(cpu, done));
	EXPECT_EQ(bad, 0);
	EXPECT(done > 0);
	test_note("%lu called, %lu refused", done, again);
}

/* All CPUs call all others and wait, at once. */
static void call_everyone(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		smp_call_function(note_call, calls, true);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		smp_call_function_single(cpu, note_call, calls, true);
}

TEST(smp_call, everyone_at_once, "all CPUs call each other and wait at the same time: no deadlock, none lost")
{
	u64 n = num_online_cpus();

	clear();
	on_each_cpu_thread(call_everyone, NULL);
	expect_calls(0, 20 * (n - 1) + n);
}

static u64 tick_calls;

static void call_in_tick(struct regs *r)
{
	(void)r;
	if (!smp_call_function(note_call, calls, false))
		__atomic_fetch_add(&tick_calls, 1, __ATOMIC_RELAXED);
}

TEST(smp_call, from_interrupt, "calls without waiting from timer interrupts, beside waiting ones, all run")
{
	u64 waited = 0, total = 0, end = arch_ns() + 100000000, limit;
	u64 others = num_online_cpus() - 1;

	clear();
	tick_calls = 0;
	set_tick_hook(call_in_tick);
	for (; arch_ns() < end; waited++)
		smp_call_function(note_call, calls, true);
	set_tick_hook(NULL);
	hook_sync();
	limit = arch_ns() + WAIT_NS;
	do {
		total = 0;
		for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
			total += __atomic_load_n(&calls[cpu], __ATOMIC_SEQ_CST);
	} while (total < (waited + tick_calls) * others && arch_ns() < limit);
	EXPECT_EQ(total, (waited + tick_calls) * others);
	EXPECT(tick_calls > 0);
	EXPECT_EQ(bad, 0);
	test_note("%lu waited for, %lu from interrupts", waited, tick_calls);
}
