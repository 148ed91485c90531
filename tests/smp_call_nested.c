/*
 * smp_call_nested.c - calls to all CPUs, without waiting, from interrupts and from functions of
 * calls: they wait for nothing that they have interrupted, and not for each other.
 */
#include <anyctx/irq_work.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "kernel/smp.h"
#include "tests/step.h"
#include "tests/test.h"

#define LIMIT_NS 10000000000UL /* until a call counts as waiting for ever */

static u64 sent_ran, nested_ran, stuck;

static void count(void *n)
{
	__atomic_fetch_add((u64 *)n, 1, __ATOMIC_SEQ_CST);
}

static void nothing(void *unused)
{
	(void)unused;
}

/* ---- from an interrupt, at each instruction of another such call ---- */

static struct irq_work work;
static u64 steps, stop_at;
static int result;

/* What on_each_cpu does, but not for ever; then that. */
static void call_all_in_irq(struct irq_work *w)
{
	u64 end = arch_ns() + LIMIT_NS;

	(void)w;
	while (smp_call_function(nothing, NULL, false)) {
		smp_call_serve();
		if (arch_ns() > end) {
			stuck++;
			return;
		}
	}
	on_each_cpu(count, &nested_ran, false);
}

static bool interrupt_here(struct regs *r, u64 dr6)
{
	(void)r;
	if (!(dr6 & DR6_SINGLE_STEP))
		return false;
	arch_debug_undisturbed();
	if (++steps == stop_at)
		irq_work_queue(&work); /* if interrupts are on it comes before the next instruction */
	return true;
}

static void call_one(void *unused)
{
	(void)unused;
	result = smp_call_function_single(1, count, &sent_ran, false);
}

static void call_others(void *unused)
{
	(void)unused;
	result = smp_call_function(count, &sent_ran, false);
}

/* Until it has come everywhere: all calls before it are over. */
static void calls_over(void)
{
	on_each_cpu(nothing, NULL, true);
}

/* False: the call was over before that step, or all has failed. */
static bool interrupted_at(void (*call)(void *), u64 at, u64 targets)
{
	steps = sent_ran = nested_ran = 0;
	stop_at = at;
	init_irq_work(&work, call_all_in_irq);
	call_stepping(call, NULL);
	irq_work_sync(&work);
	if (stuck) {
		test_fail(__FILE__, __LINE__, "interrupted at step %lu: a call to all waits for ever", at);
		return false;
	}
	calls_over();
	EXPECT_EQ(sent_ran, result ? 0 : targets);
	EXPECT_EQ(nested_ran, steps < at ? 0 : num_online_cpus());
	return steps >= at;
}

static void interrupt_each_step(void (*call)(void *), u64 targets)
{
	u64 at = 1;

	stuck = 0;
	calls_over();
	set_trap_hook(interrupt_here);
	while (interrupted_at(call, at, targets))
		at++;
	set_trap_hook(NULL);
	hook_sync();
	EXPECT(at > 10);
	test_note("interrupted at %lu instructions", at - 1);
}

TEST(smp_call, interrupted, "a call without waiting, interrupted at any of its instructions by one to all CPUs: both are made")
{
	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	if (!step_possible())
		return;
	interrupt_each_step(call_one, 1);
	if (!stuck)
		interrupt_each_step(call_others, num_online_cpus() - 1);
}

/* ---- from functions, of two CPUs that have a call of the other's behind it ---- */

static u32 ready, sent, over, send_now, serve_now;

static void call_all(void *unused)
{
	(void)unused;
	on_each_cpu(count, &nested_ran, false);
	__atomic_fetch_add(&over, 1, __ATOMIC_RELEASE);
}

static void until_set(const u32 *flag, u32 n)
{
	while (__atomic_load_n(flag, __ATOMIC_ACQUIRE) < n)
		cpu_relax();
}

/* With interrupts off, so that its list fills. */
static void call_each_other(void *unused)
{
	(void)unused;
	arch_irq_disable();
	__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	until_set(&send_now, 1);
	EXPECT_EQ(smp_call_function_single(smp_processor_id() ^ 3, count, &sent_ran, false), 0);
	__atomic_fetch_add(&sent, 1, __ATOMIC_RELEASE);
	until_set(&serve_now, 1);
	arch_irq_enable();
}

TEST(smp_call, in_functions, "functions on two CPUs that call all, each with a call of the other's behind it: no deadlock")
{
	u64 end;

	if (num_online_cpus() < 3) {
		test_skip("needs three CPUs");
		return;
	}
	ready = sent = over = send_now = serve_now = 0;
	sent_ran = nested_ran = 0;
	calls_over();
	for (unsigned int cpu = 1; cpu <= 2; cpu++)
		cpu_thread_run(cpu, call_each_other, NULL);
	until_set(&ready, 2);
	for (unsigned int cpu = 1; cpu <= 2; cpu++)
		EXPECT_EQ(smp_call_function_single(cpu, call_all, NULL, false), 0);
	__atomic_store_n(&send_now, 1, __ATOMIC_RELEASE);
	until_set(&sent, 2);
	__atomic_store_n(&serve_now, 1, __ATOMIC_RELEASE);
	end = arch_ns() + LIMIT_NS;
	while (__atomic_load_n(&over, __ATOMIC_ACQUIRE) < 2 && arch_ns() < end)
		cpu_relax();
	REQUIRE(__atomic_load_n(&over, __ATOMIC_ACQUIRE) == 2);
	for (unsigned int cpu = 1; cpu <= 2; cpu++)
		cpu_thread_wait(cpu);
	calls_over();
	EXPECT_EQ(sent_ran, 2);
	EXPECT_EQ(nested_ran, 2 * num_online_cpus());
}
