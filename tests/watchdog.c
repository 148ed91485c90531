/*
 * watchdog.c - tests of the watchdog. It is paused while cases run; these start
 * it for themselves and stop it again, which must give back all its memory.
 */
#include "kernel/watchdog.h"
#include <anyctx/slab.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/printk.h"
#include "kernel/run_in.h"
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

/* The watchdog runs until every CPU has n samples, or for too long; by the source alone,
 * without NMIs that the CPUs send to one another. */
static bool run_until_sampled(u64 n)
{
	u64 before[NR_CPUS], end = arch_ns() + 10000000000UL;
	s64 silent_ms = watchdog_silent_ms;
	bool ok = false;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		before[cpu] = samples(cpu);
	watchdog_silent_ms = 0;
	watchdog_pause(false);
	while (!ok && arch_ns() < end) {
		ok = all_sampled(before, n);
		cpu_relax();
	}
	watchdog_pause(true);
	watchdog_silent_ms = silent_ms;
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

/* ---- real lockups, ended by their report ---- */

#define GIVE_UP_NS 30000000000UL
#define LEAST_SAMPLES 6 /* of the time that it was locked up */

static struct {
	s64 ms, silent_ms, panic;
	u64 lockups, silent; /* before */
} was;
static u64 samples_told, no_nmi_told, own_nmi_told, calls;

static u64 times(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);
	u64 found = 0;

	for (size_t i = 0; i + n <= len; i++)
		found += !strncmp(text + i, word, n);
	return found;
}

static bool count_words(const char *text, size_t len)
{
	samples_told += times(text, len, " ms ago: tick ");
	no_nmi_told += times(text, len, ": it takes no NMI, so it is in one that does not end, or has stopped; last seen at ");
	own_nmi_told += times(text, len, ": its NMIs find it in one of the watchdog's; last seen at ");
	return false;
}

static u64 silent(void)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		n += READ_ONCE(per_cpu_ptr(watchdog_counts, cpu)->silent);
	return n;
}

/* Until end_watch() it runs, fast, and reports are no panics. */
static void begin_watch(s64 ms, s64 silent_ms)
{
	was.ms = watchdog_ms, was.silent_ms = watchdog_silent_ms, was.panic = lockup_panic;
	was.lockups = lockups(), was.silent = silent();
	watchdog_ms = ms, watchdog_silent_ms = silent_ms, lockup_panic = 0;
	watchdog_last_lockup = watchdog_last_silent = -1;
	samples_told = no_nmi_told = own_nmi_told = calls = 0;
	printk_set_tap(count_words);
	watchdog_pause(false);
}

static void end_watch(void)
{
	watchdog_pause(true);
	printk_set_tap(NULL);
	watchdog_ms = was.ms, watchdog_silent_ms = was.silent_ms, lockup_panic = was.panic;
}

static void lock_up_until_reported(void *unused)
{
	u64 flags = arch_irq_save(), end = arch_ns() + GIVE_UP_NS;

	(void)unused;
	calls++;
	while (lockups() == was.lockups && arch_ns() < end)
		cpu_relax();
	arch_irq_restore(flags);
}

static void find_lockup(enum context place, unsigned int cpu, void *unused)
{
	u64 start = arch_ns();

	(void)unused;
	begin_watch(400, 0);
	run_in(place, cpu, lock_up_until_reported, NULL);
	start = arch_ns() - start;
	end_watch();
	EXPECT_EQ(calls, 1);
	EXPECT_EQ(lockups(), was.lockups + 1);
	EXPECT_EQ(watchdog_last_lockup, cpu);
	EXPECT(samples_told >= LEAST_SAMPLES);
	test_note("place %u, CPU %u: reported after %lu ms of 400", place, cpu, start / 1000000);
}

TEST(watchdog, finds_lockup,
     "the first and the last CPU, spinning in a thread with interrupts off, an interrupt or a breakpoint's handler, is reported by its number, and no other is")
{
	if (num_online_cpus() == 1 && !strcmp(nmi_source_name(), "ipi"))
		test_skip("one CPU, and no source of NMIs but itself");
	else
		each_place(ALL_PLACES & ~(1u << CTX_NMI), find_lockup, NULL);
}

/* ---- CPUs that the watchdog's own NMIs do not get to, or out of ---- */

TEST(watchdog, source_dies,
     "a source that ends is stood in for by the CPUs: each goes on being checked, and a lockup of the first and the last is found")
{
	unsigned int last = num_online_cpus() - 1;

	if (!last) {
		test_skip("one CPU: nobody stands in");
		return;
	}
	for (unsigned int i = 0; i < 2; i++) {
		begin_watch(400, 1500);
		nmi_source_set_hz(0);
		run_in(CTX_IRQS_OFF, i ? last : 0, lock_up_until_reported, NULL);
		end_watch();
		EXPECT_EQ(lockups(), was.lockups + 1);
		EXPECT_EQ(watchdog_last_lockup, i ? last : 0);
		EXPECT_EQ(silent(), was.silent);
	}
}

static u64 held;

static void release_when_told(void *unused)
{
	u64 end = arch_ns() + GIVE_UP_NS;

	(void)unused;
	while (silent() == was.silent && arch_ns() < end)
		cpu_relax();
	__atomic_store_n(&held, 0, __ATOMIC_RELEASE);
}

/* fn in the thread of the victim, while another CPU looks whether it is reported. */
static void be_silent(unsigned int victim, void (*fn)(void *))
{
	unsigned int last = num_online_cpus() - 1;

	begin_watch(400, 1500);
	__atomic_store_n(&held, 1, __ATOMIC_RELEASE);
	cpu_thread_run(last, victim ? fn : release_when_told, NULL);
	(victim ? release_when_told : fn)(NULL);
	cpu_thread_wait(last);
	end_watch();
	EXPECT_EQ(silent(), was.silent + 1);
	EXPECT_EQ(watchdog_last_silent, victim);
	EXPECT_EQ(READ_ONCE(per_cpu_ptr(watchdog_counts, victim ? victim - 1 : last)->silent) != 0, true);
}

/* In an NMI's handler. */
static void spin_while_held(void *unused)
{
	(void)unused;
	while (__atomic_load_n(&held, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static void in_nmi_handler(void *unused)
{
	run_in_begin(CTX_NMI, smp_processor_id(), spin_while_held, NULL);
	spin_while_held(unused);
}

static void in_held_nmi(void *unused)
{
	(void)unused;
	arch_nmi_hold(&held);
}

TEST(watchdog, finds_deaf,
     "the first and the last CPU, in an NMI that does not end, in its handler or before it, is reported by the CPU before it, and no other is")
{
	unsigned int last = num_online_cpus() - 1;

	if (!last) {
		test_skip("one CPU: nobody is left to tell");
		return;
	}
	for (unsigned int i = 0; i < 4; i++) {
		be_silent(i & 1 ? last : 0, i & 2 ? in_nmi_handler : in_held_nmi);
		EXPECT_EQ(no_nmi_told, 1);
		EXPECT_EQ(own_nmi_told, 0);
	}
	set_nmi_hook(NULL);
	hook_sync();
}

/* At the first instruction of kfree_nolock in an NMI: it does not come back. The IRET of a
 * breakpoint lets other NMIs in. */
static bool spin_in_watchdog(struct regs *r, u64 dr6)
{
	(void)r;
	arch_debug_undisturbed();
	if (!dr6)
		return true;
	arch_breakpoint();
	while (in_nmi() && __atomic_load_n(&held, __ATOMIC_ACQUIRE))
		cpu_relax();
	return true;
}

static void in_watchdogs_nmi(void *unused)
{
	(void)unused;
	EXPECT_EQ(arch_hw_break_set(0, kfree_nolock, HW_BREAK_EXEC, 1), 0);
	arch_hw_break_in_nmi(true);
	while (__atomic_load_n(&held, __ATOMIC_ACQUIRE))
		cpu_relax();
	arch_hw_break_in_nmi(false);
	arch_hw_break_clear(0);
}

TEST(watchdog, finds_itself,
     "the first and the last CPU, whose watchdog does not return from the allocator, is reported by the CPU before it")
{
	unsigned int last = num_online_cpus() - 1;

	if (!last || !arch_hw_break_is_own()) {
		test_skip("one CPU, or one without breakpoints of its own");
		return;
	}
	set_trap_hook(spin_in_watchdog);
	for (unsigned int i = 0; i < 2; i++) {
		be_silent(i ? last : 0, in_watchdogs_nmi);
		EXPECT_EQ(no_nmi_told, 0);
		EXPECT_EQ(own_nmi_told, 1);
	}
	set_trap_hook(NULL);
	hook_sync();
}

TEST(watchdog, no_false_alarm,
     "a CPU whose tick stands still with interrupts on, or off for half a period, is not reported, nor one that is checked for silent")
{
	u64 flags;

	begin_watch(400, 1500);
	arch_timer_set(0);
	wait_ms(1000);
	tick_set_hz(tick_hz());
	for (int i = 0; i < 5; i++) {
		flags = arch_irq_save();
		wait_ms(200);
		arch_irq_restore(flags);
		wait_ms(20);
	}
	end_watch();
	EXPECT_EQ(lockups(), was.lockups);
	EXPECT_EQ(silent(), was.silent);
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
