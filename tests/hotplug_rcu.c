/*
 * hotplug_rcu.c - a CPU goes offline in the middle of a grace period: it is not waited for any
 * more, and who else reads still is.
 */
#include <anyctx/cpu.h>
#include <anyctx/rcupdate.h>
#include <arch/cpu.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "kernel/rcu.h"
#include "tests/hotplug.h"
#include "tests/rcu_reader.h"
#include "tests/test.h"

#define ROUNDS 20

static u64 ran;

static void count_run(struct rcu_head *head)
{
	(void)head;
	__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED);
}

static void ended(u64 n)
{
	u64 tries = 0;

	while (!poll_state_synchronize_rcu(n) && tries++ < 100000000)
		cpu_relax();
	EXPECT(poll_state_synchronize_rcu(n));
}

/* A function that waits on the CPU that goes. */
static void put_off(void *head)
{
	call_rcu(head, count_run);
}

TEST(hotplug, grace_period, "a grace period begun before a CPU goes ends without it; what waited for one on that CPU is done")
{
	unsigned int cpu = hotplug_victim();
	struct rcu_head head;

	if (!cpu)
		return;
	ran = 0;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		u64 n;

		EXPECT_EQ(smp_call_function_single(cpu, put_off, &head, true), 0);
		n = start_poll_synchronize_rcu();
		EXPECT_EQ(cpu_down(cpu), 0);
		ended(n);
		EXPECT_EQ(READ_ONCE(ran), i + 1);
		EXPECT(!rcu_waits_for(cpu));
		synchronize_rcu();
		n = start_poll_synchronize_rcu();
		EXPECT_EQ(cpu_up(cpu), 0);
		ended(n);
	}
}

TEST(hotplug, grace_period_read, "a CPU goes and comes while a reader of another holds a grace period up: it goes on being held up")
{
	unsigned int cpu = hotplug_victim_of_three();

	if (!cpu)
		return;
	for (enum context ctx = CTX_THREAD; ctx < NR_CONTEXT; ctx++) {
		u64 n;

		reader_begin(ctx, 1);
		n = start_poll_synchronize_rcu();
		EXPECT_EQ(cpu_down(cpu), 0);
		EXPECT(!reader_polled(n));
		EXPECT_EQ(cpu_up(cpu), 0);
		EXPECT(!reader_polled(n));
		reader_end();
		ended(n);
	}
}

/* ---- what waits on the CPU that goes, for a reader of another ---- */

#define HELD_TICKS 20

static unsigned int going;
static u64 held_ticks;

static void hold_reader(struct regs *r)
{
	(void)r;
	if (smp_processor_id() || ++held_ticks > HELD_TICKS)
		return;
	EXPECT(cpu_online(going));
	EXPECT_EQ(READ_ONCE(ran), 0);
	if (held_ticks == HELD_TICKS)
		reader_let_go();
}

TEST(hotplug, grace_period_waits, "a CPU on which a function waits for a reader of another stays until that has ended, and goes then; it has run")
{
	struct rcu_head head;

	going = hotplug_victim_of_three();
	if (!going)
		return;
	for (enum context ctx = CTX_THREAD; ctx < NR_CONTEXT; ctx++) {
		ran = held_ticks = 0;
		reader_begin(ctx, 1);
		EXPECT_EQ(smp_call_function_single(going, put_off, &head, true), 0);
		set_tick_hook(hold_reader);
		EXPECT_EQ(cpu_down(going), 0);
		EXPECT(held_ticks >= HELD_TICKS);
		EXPECT_EQ(READ_ONCE(ran), 1);
		set_tick_hook(NULL);
		reader_end();
		EXPECT_EQ(cpu_up(going), 0);
	}
}

/* ---- a function that puts itself off again for ever ---- */

#define LIMIT_NS 10000000000UL /* until a CPU counts as never going */

static u64 again_ran, again_end, again_twice;
static u32 again_waits, again_stop, again_on;

static void put_off_again(struct rcu_head *head)
{
	again_twice += __atomic_exchange_n(&again_waits, 0, __ATOMIC_SEQ_CST) != 1;
	__atomic_store_n(&again_on, smp_processor_id(), __ATOMIC_RELAXED);
	__atomic_fetch_add(&again_ran, 1, __ATOMIC_SEQ_CST);
	if (__atomic_load_n(&again_stop, __ATOMIC_SEQ_CST) || arch_ns() > again_end)
		return;
	__atomic_store_n(&again_waits, 1, __ATOMIC_SEQ_CST);
	call_rcu(head, put_off_again);
}

static void begin_again(void *head)
{
	__atomic_store_n(&again_waits, 1, __ATOMIC_SEQ_CST);
	call_rcu(head, put_off_again);
}

static void ran_since(u64 n)
{
	while (__atomic_load_n(&again_ran, __ATOMIC_SEQ_CST) <= n && arch_ns() < again_end)
		cpu_relax();
	EXPECT(__atomic_load_n(&again_ran, __ATOMIC_SEQ_CST) > n);
}

TEST(hotplug, function_again, "a CPU with a function that puts itself off again for ever goes, and the function goes on elsewhere")
{
	unsigned int cpu = hotplug_victim_of_three();
	struct rcu_head head;

	if (!cpu)
		return;
	again_ran = again_twice = again_stop = 0;
	again_end = arch_ns() + LIMIT_NS;
	EXPECT_EQ(smp_call_function_single(cpu, begin_again, &head, true), 0);
	ran_since(1);
	EXPECT_EQ(cpu_down(cpu), 0);
	EXPECT(arch_ns() < again_end); /* it goes on as long as that at most */
	ran_since(READ_ONCE(again_ran) + 2);
	EXPECT(READ_ONCE(again_on) != cpu);
	EXPECT_EQ(cpu_up(cpu), 0);
	rcu_barrier(); /* for what was there, not for what comes */
	__atomic_store_n(&again_stop, 1, __ATOMIC_SEQ_CST);
	rcu_barrier();
	EXPECT_EQ(again_waits, 0);
	EXPECT_EQ(again_twice, 0);
}
