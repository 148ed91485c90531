/*
 * hotplug_back.c - a sender has seen that its target is offline, and is held up before it takes
 * what waits there, until the CPU is back: what others have sent to that since is left to it.
 * Here work and calls; wake-ups: kthread_hotplug_back.c.
 *
 * The sender is on CPU 1, in single steps, and waits in the debug exception. At each step in
 * turn the target comes back, is held with interrupts off, and is sent something by CPU 0;
 * then the sender goes on. So nothing here is left to chance.
 */
#include <anyctx/cpu.h>
#include <anyctx/irq_work.h>
#include <arch/debug.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "tests/hotplug.h"
#include "tests/hotplug_back.h"
#include "tests/step.h"
#include "tests/test.h"

#define LIMIT_NS 20000000000UL /* until something counts as not happening */
#define SURE 200 /* steps behind which the sender has taken what it takes, or only waits */
#define NEVER (~0UL)

static unsigned int victim; /* the target */
static u64 steps, down_at, up_at; /* 0: it is offline from the beginning */
static u64 stopped, go_on;        /* at which step */
static u32 sure, returned, held, release;

static bool stop_sender(struct regs *r, u64 dr6)
{
	(void)r;
	if (smp_processor_id() != 1 || !(dr6 & DR6_SINGLE_STEP))
		return false;
	arch_debug_undisturbed();
	steps++;
	if (steps == up_at + SURE)
		__atomic_store_n(&sure, 1, __ATOMIC_RELEASE);
	if (steps != down_at && steps != up_at)
		return true;
	__atomic_store_n(&stopped, steps, __ATOMIC_RELEASE);
	while (__atomic_load_n(&go_on, __ATOMIC_ACQUIRE) != steps)
		cpu_relax();
	return true;
}

static void sender(void *send)
{
	call_stepping((void (*)(void *))send, NULL);
	__atomic_store_n(&returned, 1, __ATOMIC_RELEASE);
}

static void until(const u32 *flag, const char *what)
{
	u64 end = arch_ns() + LIMIT_NS;

	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE) && arch_ns() < end)
		cpu_relax();
	if (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		test_fail(__FILE__, __LINE__, "%s does not come, the target back at step %lu", what, up_at);
}

/* False: the sender was through before. */
static bool until_stopped(u64 at)
{
	while (__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) != at)
		if (__atomic_load_n(&returned, __ATOMIC_ACQUIRE))
			return false;
	return true;
}

static void let_go(u64 at)
{
	__atomic_store_n(&go_on, at, __ATOMIC_RELEASE);
}

static void hold_here(void *unused)
{
	(void)unused;
	__atomic_store_n(&held, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&release, __ATOMIC_ACQUIRE))
		cpu_relax();
}

/* The target is back; the sender goes on while something is on its lists. */
static void go_on_beside_other(const struct back_way *w)
{
	EXPECT_EQ(cpu_up(victim), 0);
	w->before_other();
	EXPECT_EQ(smp_call_function_single(victim, hold_here, NULL, false), 0);
	until(&held, "the hold");
	w->other();
	let_go(up_at);
	while (!__atomic_load_n(&sure, __ATOMIC_ACQUIRE) && !__atomic_load_n(&returned, __ATOMIC_ACQUIRE))
		cpu_relax();
	__atomic_store_n(&release, 1, __ATOMIC_RELEASE);
}

/* False: the sender did not come so far. */
static bool back_at(const struct back_way *w, u64 at)
{
	bool ok = true;

	steps = stopped = go_on = 0;
	sure = returned = held = release = 0;
	up_at = at;
	w->prepare();
	if (!down_at)
		EXPECT_EQ(cpu_down(victim), 0);
	cpu_thread_run(1, sender, (void *)w->send);
	if (down_at) {
		ok = until_stopped(down_at);
		EXPECT_EQ(cpu_down(victim), 0);
		let_go(down_at);
	}
	ok = ok && until_stopped(at);
	if (ok)
		go_on_beside_other(w);
	else
		EXPECT_EQ(cpu_up(victim), 0);
	until(&returned, "the sender's return");
	cpu_thread_wait(1);
	if (ok)
		w->check(at);
	return ok;
}

static void at_each_step_from(u64 down, const struct back_way *w)
{
	u64 at = down + 1;

	down_at = down;
	set_trap_hook(stop_sender);
	while (back_at(w, at))
		at++;
	set_trap_hook(NULL);
	hook_sync();
	EXPECT(at > down + 10);
	test_note("back at %lu steps of the sender", at - down - 1);
}

void back_at_each_step(const struct back_way *w)
{
	at_each_step_from(0, w);
}

unsigned int back_target(void)
{
	victim = hotplug_victim_of_three();
	return victim && step_possible() ? victim : 0;
}

static void nothing(void)
{
}

/* ---- work ---- */

static struct irq_work sent_work, other_work;
static u32 other_ran_on;

static void sent_runs(struct irq_work *w)
{
	(void)w;
}

static void other_runs(struct irq_work *w)
{
	(void)w;
	WRITE_ONCE(other_ran_on, smp_processor_id());
}

static void prepare_work(void)
{
	init_irq_work(&sent_work, sent_runs);
	init_irq_work(&other_work, other_runs);
	other_ran_on = NR_CPUS;
}

static void send_work(void *unused)
{
	(void)unused;
	EXPECT(irq_work_queue_on(&sent_work, victim));
}

static void queue_other(void)
{
	EXPECT(irq_work_queue_on(&other_work, victim));
}

static void check_work(u64 at)
{
	irq_work_sync(&sent_work);
	irq_work_sync(&other_work);
	if (other_ran_on != victim)
		test_fail(__FILE__, __LINE__, "back at step %lu: the work of a CPU runs on CPU %u", at, other_ran_on);
}

TEST(hotplug, work_back, "who queues work and is held up before it takes that of an offline CPU leaves it to that when it is back")
{
	static const struct back_way work = { prepare_work, send_work, nothing, queue_other, check_work };

	if (back_target())
		back_at_each_step(&work);
}

/* ---- a call ---- */

static u64 sent_ran, other_ran;
static int result;

static void count(void *n)
{
	__atomic_fetch_add((u64 *)n, 1, __ATOMIC_RELEASE);
}

static void prepare_call(void)
{
	sent_ran = other_ran = 0;
}

static void send_call(void *unused)
{
	(void)unused;
	result = smp_call_function_single(victim, count, &sent_ran, true);
}

static void call_other(void)
{
	EXPECT_EQ(smp_call_function_single(victim, count, &other_ran, false), 0);
}

static void check_call(u64 at)
{
	u64 last = 0;

	EXPECT_EQ(smp_call_function_single(victim, count, &last, true), 0); /* all before it are over */
	EXPECT_EQ(last, 1);
	EXPECT_EQ(sent_ran, result == 0);
	if (other_ran != 1)
		test_fail(__FILE__, __LINE__, "back at step %lu: a call to a CPU that is online is not made", at);
}

/* The last step before which the CPU goes too early for the call. */
static u64 last_too_early(const struct back_way *w)
{
	u64 last;

	set_trap_hook(stop_sender);
	for (down_at = 1; !back_at(w, NEVER) && result; down_at++)
		;
	last = down_at - 1;
	set_trap_hook(NULL);
	hook_sync();
	return last;
}

TEST(hotplug, call_back, "a caller held up before it takes the calls to an offline CPU leaves them to that when it is back")
{
	static const struct back_way call = { prepare_call, send_call, nothing, call_other, check_call };
	u64 down;

	if (!back_target())
		return;
	down = last_too_early(&call);
	REQUIRE(down);
	at_each_step_from(down, &call);
}
