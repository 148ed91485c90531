/*
 * hotplug_reader.c - a CPU that is offline already, on its way to sleep and where it sleeps,
 * comes upon breakpoints whose handler reads: it is waited for.
 *
 * A breakpoint at the flush is passed while the CPU is online; from its second one on, behind
 * the commit, it single-steps.
 */
#include <anyctx/cpu.h>
#include <anyctx/rcupdate.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "mm/mm.h"
#include "tests/hotplug.h"
#include "tests/rcu_reader.h"
#include "tests/step.h"
#include "tests/test.h"

#define STRIDE 500 /* instructions from reader to reader: */
#define READERS 5  /* not for ever, as each begins a grace period, which the CPU is to see */
#define LIMIT_NS 20000000000UL /* until something counts as not coming */

static unsigned int victim;
static u64 steps, readers, number;
static u32 asleep;

static void read_here(void)
{
	rcu_read_lock();
	number = start_poll_synchronize_rcu();
	if (reader_polled(number))
		test_fail(__FILE__, __LINE__, "a reader %lu steps behind the flush is not waited for", steps);
	rcu_read_unlock();
	readers++;
}

static bool at_sleep(u64 rip)
{
	return rip - (u64)arch_park < 8;
}

static bool on_trap(struct regs *r, u64 dr6)
{
	if (smp_processor_id() != victim)
		return false;
	arch_debug_undisturbed();
	if (cpu_online(victim))
		return true;
	if (!(dr6 & DR6_SINGLE_STEP)) {
		arch_hw_break_clear(0);
		r->rflags |= RFLAGS_TF;
	}
	if ((steps++ % STRIDE == 0 && readers < READERS) || at_sleep(r->rip))
		read_here();
	if (at_sleep(r->rip)) {
		r->rflags &= ~RFLAGS_TF;
		__atomic_store_n(&asleep, 1, __ATOMIC_RELEASE);
	}
	return true;
}

static void set_break(void *err)
{
	*(int *)err = arch_hw_break_set(0, mm_cpu_flush, HW_BREAK_EXEC, 1);
}

static bool set_break_there(void)
{
	int err = -1;

	smp_call_function_single(victim, set_break, &err, true);
	if (err)
		test_skip("no breakpoints here");
	return !err;
}

TEST(hotplug, reader_offline, "a reader in a breakpoint's handler on a CPU that is offline already, up to where it sleeps, is waited for")
{
	u64 end = arch_ns() + LIMIT_NS;

	victim = hotplug_victim();
	if (!victim || !step_possible())
		return;
	steps = readers = number = 0;
	asleep = 0;
	set_trap_hook(on_trap);
	if (set_break_there()) {
		EXPECT_EQ(cpu_down(victim), 0);
		while (!__atomic_load_n(&asleep, __ATOMIC_ACQUIRE) && arch_ns() < end)
			cpu_relax();
		EXPECT(asleep);
		EXPECT(readers > 2);
		while (!poll_state_synchronize_rcu(number) && arch_ns() < end)
			cpu_relax();
		EXPECT(poll_state_synchronize_rcu(number)); /* nor is it for longer */
		EXPECT_EQ(cpu_up(victim), 0);
		test_note("%lu readers in %lu instructions", readers, steps);
	}
	set_trap_hook(NULL);
	hook_sync();
}
