/*
 * kthread_hotplug_state.c - threads on a CPU that goes in states that come about by chance
 * alone, made certain: behind a busy thread that keeps the CPU, asleep on a CPU whose ticks
 * are few, bound to it for a moment by a call that is refused.
 */
#include <anyctx/cpu.h>
#include <anyctx/wait.h>
#include <arch/debug.h>
#include "kernel/hooks.h"
#include "kernel/sched.h"
#include "kernel/tick.h"
#include "mm/mm.h"
#include "tests/hotplug.h"
#include "tests/kthread_hotplug.h"
#include "tests/step.h"
#include "tests/test.h"

static unsigned int victim;
static struct completion begun;

/* ---- behind a busy one ---- */

static u32 stop;

static int pinned_until_told(void *unused)
{
	(void)unused;
	migrate_disable();
	complete(&begun);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
		cpu_relax();
	migrate_enable();
	return 0;
}

static int tell(void *unused)
{
	(void)unused;
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	return (int)smp_processor_id();
}

TEST(hotplug, thread_behind, "a thread queued behind one that keeps its CPU, and waits for it, is sent elsewhere at once")
{
	struct task *busy, *behind;

	victim = hotplug_victim();
	if (!victim)
		return;
	stop = 0;
	init_completion(&begun);
	busy = begin_on(victim, PRIO_HIGHEST, pinned_until_told, NULL, "busy");
	wait_for_completion(&begun);
	behind = begin_on(victim, PRIO_NORMAL, tell, NULL, "behind");
	REQUIRE(busy && behind);
	while (READ_ONCE(behind->parked)) /* until it is in the queue */
		schedule_timeout(1);
	EXPECT_EQ(cpu_down(victim), 0);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	EXPECT(kthread_join(behind) != (int)victim);
	kthread_join(busy);
	EXPECT_EQ(cpu_up(victim), 0);
}

/* ---- what is left of a sleep ---- */

#define SLEEP 1000000
#define APART 50 /* ticks between the CPUs' counts */
#define PART 20  /* of the sleep, before the CPU goes */

static s64 left;
static u64 woke_at; /* tick of CPU 0 */

static int sleep_once(void *unused)
{
	(void)unused;
	left = schedule_timeout(SLEEP);
	woke_at = tick_number(0);
	return (int)smp_processor_id();
}

/* CPU 0 has counted more ticks, by so many at least. */
static void keep_apart(void)
{
	EXPECT_EQ(cpu_down(victim), 0);
	while (tick_number(0) < tick_number(victim) + APART)
		schedule_timeout(1);
	EXPECT_EQ(cpu_up(victim), 0);
}

TEST(hotplug, sleep_left, "what is left of a sleep on a CPU that goes is right to the tick, whatever the CPUs have counted")
{
	struct task *t;
	u64 start, passed, before;

	victim = hotplug_victim();
	if (!victim)
		return;
	keep_apart();
	t = begin_on(victim, PRIO_NORMAL, sleep_once, NULL, "sleeper");
	REQUIRE(t);
	while (!READ_ONCE(t->sleeping))
		schedule_timeout(1);
	start = READ_ONCE(t->wake_at) - SLEEP;
	while (tick_number(victim) < start + PART)
		schedule_timeout(1);
	before = tick_number(0);
	EXPECT_EQ(cpu_down(victim), 0);
	passed = tick_number(victim) - start; /* none since */
	EXPECT(kthread_join(t) != (int)victim);
	EXPECT(left <= (s64)(SLEEP - passed + 1));
	EXPECT(left >= (s64)(SLEEP - passed + 1 - (woke_at - before)));
	EXPECT_EQ(cpu_up(victim), 0);
	test_note("slept %lu ticks of %u, then %ld were left", passed, SLEEP, left);
}

/* ---- bound for a moment ---- */

/*
 * kthread_set_cpu stores, then looks, then takes back (sched_want_cpu). Before it takes
 * back, the thread's message comes, and it is queued on the CPU that goes. FIRST: all that,
 * at the CPU's first flush. AGAIN: and a second call has stored when the CPU pushes out what
 * it has, and takes back when it is gone.
 */
enum bound_when { FIRST, AGAIN };
static enum bound_when bound_when;
static struct sleeper bound;
static u32 queued, asleep;

static void store_wanted(void)
{
	__atomic_store_n(&bound.task->wanted, (s32)victim, __ATOMIC_SEQ_CST);
}

static void take_back(void)
{
	__atomic_store_n(&bound.task->wanted, CPU_ANY, __ATOMIC_SEQ_CST);
}

static void stopped_at_break(struct regs *r)
{
	arch_hw_break_clear(0);
	store_wanted();
	if (!queued)
		wake_up_process(bound.task); /* its message comes before the next instruction */
	r->rflags |= RFLAGS_TF;
}

static void stopped_at_step(struct regs *r)
{
	if (!queued && !READ_ONCE(bound.task->parked)) {
		queued = 1;
		take_back();
		if (bound_when == AGAIN)
			EXPECT_EQ(arch_hw_break_set(0, sched_leave, HW_BREAK_EXEC, 1), 0);
		else
			__atomic_store_n(&asleep, 1, __ATOMIC_RELEASE);
		r->rflags &= ~RFLAGS_TF;
	} else if (at_park(r->rip)) {
		take_back();
		r->rflags &= ~RFLAGS_TF;
		__atomic_store_n(&asleep, 1, __ATOMIC_RELEASE);
	}
}

static bool on_trap(struct regs *r, u64 dr6)
{
	if (smp_processor_id() != victim)
		return false;
	arch_debug_undisturbed();
	if (dr6 & DR6_SINGLE_STEP)
		stopped_at_step(r);
	else
		stopped_at_break(r);
	return true;
}

static void bind_late(enum bound_when when)
{
	u64 runs;

	bound_when = when;
	queued = asleep = 0;
	sleeper_park_on(&bound, victim);
	runs = bound.runs;
	break_on(victim, mm_cpu_flush);
	EXPECT_EQ(cpu_down(victim), 0);
	while (!__atomic_load_n(&asleep, __ATOMIC_ACQUIRE))
		schedule_timeout(1);
	EXPECT(queued);
	EXPECT(wait_count(&bound.runs, runs + 1));
	EXPECT(bound.ran_on != victim);
	EXPECT_EQ(cpu_up(victim), 0);
}

TEST(hotplug, bound_too_late, "a thread that a refused call binds to a CPU that goes, for a moment, is not left in its queue")
{
	victim = hotplug_victim();
	if (!victim || !step_possible() || !break_possible())
		return;
	REQUIRE(sleeper_begin(&bound, PRIO_LEAST)); /* it does not run before the first thread */
	set_trap_hook(on_trap);
	bind_late(FIRST);
	bind_late(AGAIN);
	set_trap_hook(NULL);
	hook_sync();
	sleeper_end(&bound);
}
