/*
 * watchdog.c - tests of the watchdog. It is paused while cases run; these start
 * it for themselves and stop it again, which must give back all its memory.
 */
#include "kernel/watchdog.h"
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/printk.h"
#include "kernel/tick.h"
#include "lib/string.h"
#include "tests/test.h"

static void wait_ms(u64 ms)
{
	u64 end = arch_ns() + ms * 1000000;

	while (arch_ns() < end)
		cpu_relax();
}

static u64 samples(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(watchdog_counts, cpu)->samples);
}

static u64 lockups(void)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		n += READ_ONCE(per_cpu_ptr(watchdog_counts, cpu)->lockups);
	return n;
}

static bool all_sampled(const u64 *before, u64 n)
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		if (samples(cpu) < before[cpu] + n)
			return false;
	return true;
}

/* The watchdog runs until every CPU has n samples, or for too long. */
static bool run_until_sampled(u64 n)
{
	u64 before[NR_CPUS], end = arch_ns() + 10000000000UL;
	bool ok = false;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		before[cpu] = samples(cpu);
	watchdog_pause(false);
	while (!ok && arch_ns() < end) {
		ok = all_sampled(before, n);
		cpu_relax();
	}
	watchdog_pause(true);
	return ok;
}

TEST(watchdog, samples,
     "every CPU takes samples in its NMIs, more than its ring holds, and a pause frees them all")
{
	s64 ms = watchdog_ms;
	u64 failed = 0, before = lockups();

	watchdog_ms = 200;
	EXPECT(run_until_sampled(20));
	watchdog_ms = ms;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		failed += per_cpu_ptr(watchdog_counts, cpu)->failed;
	EXPECT_EQ(failed, 0);
	EXPECT_EQ(lockups(), before);
	test_note("NMIs by %s", nmi_source_name());
}

TEST(watchdog, sources,
     "each source of NMIs that this machine has reaches every CPU; a neighbour's IPI always does")
{
	static const char *const names[] = { "pit", "ioapic", "hpet", "perf", "ipi" };
	const char *was = nmi_source_name();
	s64 ms = watchdog_ms;

	watchdog_ms = 500;
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		bool has = nmi_source_choose(names[i]);

		test_note("%s: %s", names[i], has ? "works" : "not there");
		EXPECT(has || strcmp(names[i], "ipi"));
		if (has)
			EXPECT(run_until_sampled(3));
	}
	EXPECT(!nmi_source_choose("nonsense"));
	watchdog_ms = ms;
	EXPECT(nmi_source_choose(was));
}

/* ---- a real lockup, ended by its report ---- */
static void lock_up_until_reported(void *arg)
{
	u64 flags = arch_irq_save(), before = *(u64 *)arg, end = arch_ns() + 20000000000UL;

	while (lockups() == before && arch_ns() < end)
		cpu_relax();
	arch_irq_restore(flags);
}

#define LEAST_SAMPLES 6 /* of the time that it was locked up */
static u64 samples_told;

static bool count_samples(const char *text, size_t len)
{
	static const char word[] = " ms ago: tick ";

	for (size_t i = 0; i + sizeof(word) - 1 <= len; i++)
		if (!strncmp(text + i, word, sizeof(word) - 1))
			samples_told++;
	return false;
}

TEST(watchdog, finds_lockup,
     "a CPU that spins with interrupts off is reported by its number, and no other is")
{
	unsigned int victim = num_online_cpus() - 1;
	u64 before = lockups(), start;
	s64 ms = watchdog_ms, policy = lockup_panic;

	if (!victim && !strcmp(nmi_source_name(), "ipi")) {
		test_skip("one CPU, and no source of NMIs but itself");
		return;
	}
	watchdog_ms = 400;
	lockup_panic = 0;
	watchdog_last_lockup = -1;
	samples_told = 0;
	printk_set_tap(count_samples);
	watchdog_pause(false);
	start = arch_ns();
	if (victim) {
		cpu_thread_run(victim, lock_up_until_reported, &before);
		cpu_thread_wait(victim);
	} else {
		lock_up_until_reported(&before);
	}
	start = arch_ns() - start;
	watchdog_pause(true);
	watchdog_ms = ms;
	lockup_panic = policy;
	printk_set_tap(NULL);
	EXPECT_EQ(lockups(), before + 1);
	EXPECT_EQ(watchdog_last_lockup, victim);
	EXPECT(samples_told >= LEAST_SAMPLES);
	test_note("reported after %lu ms of 400", start / 1000000);
}

TEST(watchdog, no_false_alarm,
     "a CPU whose tick stands still with interrupts on, or off for half a period, is not reported")
{
	u64 before = lockups(), flags;
	s64 ms = watchdog_ms, policy = lockup_panic;

	watchdog_ms = 400;
	lockup_panic = 0;
	watchdog_pause(false);
	arch_timer_set(0);
	wait_ms(1000);
	tick_set_hz(tick_hz());
	for (int i = 0; i < 5; i++) {
		flags = arch_irq_save();
		wait_ms(200);
		arch_irq_restore(flags);
		wait_ms(20);
	}
	watchdog_pause(true);
	watchdog_ms = ms;
	lockup_panic = policy;
	EXPECT_EQ(lockups(), before);
}

static volatile u64 hook_calls;

static void count_nmi(struct regs *r)
{
	(void)r;
	hook_calls++;
}

TEST(watchdog, hook_beside,
     "the NMI hook is called in the watchdog's NMIs too, and the watchdog samples beside it")
{
	s64 ms = watchdog_ms;

	hook_calls = 0;
	watchdog_ms = 200;
	set_nmi_hook(count_nmi);
	EXPECT(run_until_sampled(5));
	set_nmi_hook(NULL);
	hook_sync();
	watchdog_ms = ms;
	EXPECT(hook_calls >= 5);
}
