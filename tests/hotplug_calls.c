/*
 * hotplug_calls.c - calls and work that are on their way to a CPU while it goes or comes:
 * each runs once, or its caller is told that it does not; nobody waits for ever.
 *
 * CPU 0's timer interrupts, and with three CPUs the others' threads, send while CPU 0's
 * thread takes the last CPU off and back.
 */
#include <anyctx/cpu.h>
#include <anyctx/irq_work.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "tests/hotplug.h"
#include "tests/step.h"
#include "tests/test.h"

#define ROUNDS 40
#define NR_WORKS 8

static unsigned int victim;
static u32 stop;
static u64 ran, made, refused, again;                /* calls that are waited for */
static u64 sent_ran, sent, sent_again;               /* and those that are not */
static u64 queued, works_ran, ran_elsewhere;
static struct irq_work works[NR_WORKS];

static void count(u64 *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELAXED);
}

static void call_ran(void *n)
{
	EXPECT_EQ(smp_processor_id(), victim);
	count(n);
}

static void anywhere(void *n)
{
	count(n);
}

static void work_ran(struct irq_work *w)
{
	(void)w;
	if (smp_processor_id() != victim)
		count(&ran_elsewhere);
	count(&works_ran);
}

static void queue_one(u64 i)
{
	if (irq_work_queue_on(&works[i % NR_WORKS], victim))
		count(&queued);
}

/* Nobody waits in an interrupt. */
static void send_in_tick(struct regs *r)
{
	int err;

	(void)r;
	if (smp_processor_id() == victim)
		return;
	err = smp_call_function_single(victim, call_ran, &sent_ran, false);
	count(err == -EAGAIN ? &sent_again : err ? &refused : &sent);
	queue_one(READ_ONCE(sent));
}

static void queue_in_nmi(struct regs *r)
{
	(void)r;
	if (smp_processor_id() != victim)
		queue_one(smp_processor_id());
}

static void call_in_thread(void *unused)
{
	(void)unused;
	for (u64 i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++) {
		u64 all = 0;
		int err = smp_call_function_single(victim, call_ran, &ran, true);

		count(err == -EAGAIN ? &again : err ? &refused : &made);
		on_each_cpu(anywhere, &all, true);
		EXPECT(all >= num_possible_cpus() - 1 && all <= num_possible_cpus());
		queue_one(i);
		arch_send_nmi(smp_processor_id());
	}
}

static void begin(void)
{
	stop = 0;
	ran = made = refused = again = sent_ran = sent = sent_again = queued = works_ran = ran_elsewhere = 0;
	for (unsigned int i = 0; i < NR_WORKS; i++)
		init_irq_work(&works[i], work_ran);
	set_tick_hook(send_in_tick);
	set_nmi_hook(queue_in_nmi);
	for (unsigned int cpu = 1; cpu < victim; cpu++)
		cpu_thread_run(cpu, call_in_thread, NULL);
}

static void end(void)
{
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned int cpu = 1; cpu < victim; cpu++)
		cpu_thread_wait(cpu);
	hook_sync();
	for (unsigned int i = 0; i < NR_WORKS; i++)
		irq_work_sync(&works[i]);
}

static void wait_ticks(u64 n)
{
	const u64 *ticks = &this_cpu_ptr(irq_counts)->timer, before = READ_ONCE(*ticks);

	while (READ_ONCE(*ticks) < before + n)
		cpu_relax();
}

TEST(hotplug, calls, "calls and work sent to a CPU that goes and comes run once, or are refused; none hangs")
{
	u64 late = 0;

	victim = hotplug_victim();
	if (!victim)
		return;
	begin();
	for (unsigned int i = 0; i < ROUNDS; i++) {
		EXPECT_EQ(cpu_down(victim), 0);
		wait_ticks(i % 3);
		EXPECT_EQ(cpu_up(victim), 0);
		wait_ticks(i % 2);
	}
	end();
	/* A call without waiting that comes now finds its node free: none is stuck. */
	EXPECT_EQ(smp_call_function_single(victim, anywhere, &late, true), 0);
	EXPECT_EQ(smp_call_function_single(victim, anywhere, &late, false), 0);
	EXPECT_EQ(smp_call_function_single(victim, anywhere, &late, true), 0);
	EXPECT_EQ(late, 3);
	EXPECT_EQ(ran, made);
	EXPECT(sent_ran <= sent);
	EXPECT_EQ(works_ran, queued);
	EXPECT(queued > 0 && sent > 0);
	test_note("calls waited for: %lu made, %lu refused; not waited for: %lu sent, %lu ran, %lu again", made, refused,
		  sent, sent_ran, sent_again);
	test_note("work: %lu queued, %lu ran, %lu of it on another CPU", queued, works_ran, ran_elsewhere);
}

TEST(hotplug, offline_calls, "a call to a CPU that is offline is refused; work for it runs on the caller's")
{
	u64 n = 0;

	victim = hotplug_victim();
	if (!victim)
		return;
	REQUIRE(cpu_down(victim) == 0);
	EXPECT_EQ(smp_call_function_single(victim, anywhere, &n, true), -EINVAL);
	EXPECT_EQ(smp_call_function_single(victim, anywhere, &n, false), -EINVAL);
	EXPECT_EQ(n, 0);
	on_each_cpu(anywhere, &n, true);
	EXPECT_EQ(n, num_possible_cpus() - 1);
	works_ran = ran_elsewhere = 0;
	init_irq_work(&works[0], work_ran);
	EXPECT(irq_work_queue_on(&works[0], victim));
	irq_work_sync(&works[0]);
	EXPECT_EQ(works_ran, 1);
	EXPECT_EQ(ran_elsewhere, 1);
	EXPECT_EQ(cpu_up(victim), 0);
}

/* ---- a caller stopped in the middle of its call, while its target goes ---- */

#define MOST_STOPS 300 /* what is behind is waiting */
#define LIMIT_NS 20000000000UL /* until a call counts as not returning */

static u64 caller_steps, stop_at;
static u32 stopped, go_on, returned;
static int result;

static bool stop_caller(struct regs *r, u64 dr6)
{
	(void)r;
	if (smp_processor_id() != 1 || !(dr6 & DR6_SINGLE_STEP))
		return false;
	arch_debug_undisturbed();
	if (++caller_steps != stop_at)
		return true;
	__atomic_store_n(&stopped, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
		cpu_relax();
	return true;
}

static void call_victim(void *unused)
{
	(void)unused;
	result = smp_call_function_single(victim, anywhere, &ran, true);
}

static void caller(void *unused)
{
	(void)unused;
	call_stepping(call_victim, NULL);
	__atomic_store_n(&returned, 1, __ATOMIC_RELEASE);
}

static bool wait_flags(const u32 *a, const u32 *b)
{
	u64 end = arch_ns() + LIMIT_NS;

	while (!__atomic_load_n(a, __ATOMIC_ACQUIRE) && !__atomic_load_n(b, __ATOMIC_ACQUIRE)) {
		if (arch_ns() > end)
			return false;
		cpu_relax();
	}
	return true;
}

/* false: the call did not come so far, or has not returned. */
static bool stop_once(void)
{
	bool ok;

	caller_steps = ran = 0;
	stopped = go_on = returned = 0;
	cpu_thread_run(1, caller, NULL);
	EXPECT(wait_flags(&stopped, &returned));
	ok = __atomic_load_n(&stopped, __ATOMIC_ACQUIRE);
	if (ok)
		EXPECT_EQ(cpu_down(victim), 0);
	__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
	if (!wait_flags(&returned, &returned)) {
		test_fail(__FILE__, __LINE__, "stopped at step %lu the call does not return", stop_at);
		ok = false;
	}
	EXPECT_EQ(cpu_up(victim), 0);
	cpu_thread_wait(1);
	EXPECT_EQ(ran, result == 0);
	return ok;
}

TEST(hotplug, call_stopped, "a call stopped at any of its instructions while its target goes has run, or says that it does not")
{
	u64 made_calls = 0, stops = 0;

	victim = hotplug_victim_of_three();
	if (!victim || !step_possible())
		return;
	set_trap_hook(stop_caller);
	for (stop_at = 1; stop_at <= MOST_STOPS && stop_once(); stop_at++) {
		stops++;
		made_calls += result == 0;
	}
	set_trap_hook(NULL);
	hook_sync();
	EXPECT(stops > 0 && made_calls < stops);
	test_note("stopped at %lu instructions: %lu calls had run, %lu were refused", stops, made_calls, stops - made_calls);
}
