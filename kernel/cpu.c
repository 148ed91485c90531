/*
 * cpu.c - which CPUs are online; taking one off and back.
 *
 * Invariant: a CPU's bit in cpu_online_mask is changed by that CPU alone, in its thread
 * with interrupts off, by one locked instruction: the commit. Who puts something on a list
 * of another CPU looks at its bit after that (smp_call.c, irq_work.c); a CPU that goes
 * takes its lists after it has cleared the bit. Both are full barriers, so one of the two
 * sees the other, and nothing stays behind on a list.
 *
 * A CPU that is to go is first taken out of cpu_active_mask: then no thread comes to it, and
 * those on it leave (sched_cpu.c). That may take a while, so nothing is held meanwhile that
 * they might want; from then on cpus_lock is, and nobody is waited for but the CPU itself.
 *
 * What the CPU keeps of memory it gives back after the commit. From then on its NMIs do
 * nothing but to answer who is at the end of memory, which is why that may ask every CPU
 * that still holds something, online or not; and a breakpoint gives back what its handler
 * has left (hooks.c). docs/design-hotplug.md has the steps.
 */
#include <anyctx/cpu.h>
#include <anyctx/smp.h>
#include <anyctx/spinlock.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "lib/bits.h"
#include "mm/mm.h"

u64 cpu_online_mask = 1, cpu_active_mask = 1;
static unsigned int possible = 1;
static spinlock_t cpus_lock = SPINLOCK_INIT;

/* RUNS -> ASKED by CPU 0, one call at a time; ASKED -> LEAVES by the CPU, unless CPU 0 has
 * given up (ASKED -> RUNS); LEAVES -> ASKED if a thread keeps it after all; LEAVES -> PARKED
 * when it has given back all; PARKED -> JOIN by CPU 0, which wants it back; JOIN -> RUNS when
 * it is. */
enum parking { RUNS, ASKED, LEAVES, PARKED, JOIN };
static DEFINE_PER_CPU(u64, park_state);

/* ---- which there are ---- */

unsigned int num_possible_cpus(void)
{
	return READ_ONCE(possible);
}

unsigned int num_online_cpus(void)
{
	return popcount64(__atomic_load_n(&cpu_online_mask, __ATOMIC_SEQ_CST));
}

unsigned int next_online_cpu(unsigned int cpu)
{
	u64 mask = cpu < NR_CPUS ? __atomic_load_n(&cpu_online_mask, __ATOMIC_SEQ_CST) >> cpu : 0;

	return mask ? cpu + (unsigned int)__builtin_ctzl(mask) : NR_CPUS;
}

void smp_set_online(unsigned int n)
{
	WRITE_ONCE(possible, n);
	__atomic_store_n(&cpu_online_mask, ~0UL >> (64 - n), __ATOMIC_SEQ_CST);
	__atomic_store_n(&cpu_active_mask, ~0UL >> (64 - n), __ATOMIC_SEQ_CST);
	rcu_set_online(~0UL >> (64 - n));
}

void cpus_read_lock(void)
{
	check_may_wait("cpus_read_lock");
	spin_lock(&cpus_lock);
}

void cpus_read_unlock(void)
{
	spin_unlock(&cpus_lock);
}

/* ---- the CPU itself, in its thread ---- */

static u64 my_bit(void)
{
	return 1UL << smp_processor_id();
}

/* What was on the lists before the commit runs here, as in the IPI that is on its way. */
static void go_offline(void)
{
	u64 was;

	sched_leave();
	__atomic_fetch_and(&cpu_online_mask, ~my_bit(), __ATOMIC_SEQ_CST);
	sched_left();
	was = context_enter(CTX_IRQ, CTX_DEPTH_IRQ);
	smp_call_serve();
	irq_work_serve();
	if (CONFIG_RT)
		lazy_leave();
	rcu_note_quiet();
	context_leave(was, CTX_DEPTH_IRQ);
	arch_timer_set(0);
	nmi_source_here(false);
}

/* The rates are read after the commit: they are the right ones, or a call comes that
 * changes them. The IPIs are for what others put on the lists since. */
static void go_online(void)
{
	rcu_join();
	__atomic_fetch_or(&cpu_online_mask, my_bit(), __ATOMIC_SEQ_CST);
	rcu_note_quiet();
	arch_timer_set(tick_hz());
	nmi_source_here(true);
	arch_send_ipi(smp_processor_id(), IPI_IRQ_WORK);
	arch_send_ipi(smp_processor_id(), IPI_CALL);
	arch_send_ipi(smp_processor_id(), IPI_RESCHED);
	__atomic_fetch_or(&cpu_active_mask, my_bit(), __ATOMIC_SEQ_CST);
}

static bool step(u64 *state, u64 from, u64 to)
{
	return __atomic_compare_exchange_n(state, &from, to, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* Interrupts off if it does. */
static bool may_leave(u64 *state)
{
	arch_irq_disable();
	if (sched_may_leave())
		return true;
	__atomic_store_n(state, ASKED, __ATOMIC_SEQ_CST);
	arch_irq_enable();
	return false;
}

/* The first flush has interrupts on: it is the one with much to do. */
static void leave(void *unused)
{
	u64 *state = this_cpu_ptr(park_state);

	(void)unused;
	if (!step(state, ASKED, LEAVES))
		return;
	rcu_leave();
	mm_cpu_flush();
	if (!may_leave(state))
		return;
	go_offline();
	rcu_left();
	mm_cpu_flush();
	rcu_part();
	__atomic_store_n(state, PARKED, __ATOMIC_RELEASE);
	while (__atomic_load_n(state, __ATOMIC_ACQUIRE) == PARKED)
		arch_park(state, PARKED);
	go_online();
	__atomic_store_n(state, RUNS, __ATOMIC_RELEASE);
	arch_irq_enable();
}

/* ---- CPU 0 ---- */

static void wait_for(const u64 *state, enum parking wanted)
{
	while (__atomic_load_n(state, __ATOMIC_ACQUIRE) != wanted)
		cpu_relax();
}

/* False: a thread of its own came in between, or does not let it run. */
static bool wait_parked(unsigned int cpu, u64 end)
{
	u64 *state = per_cpu_ptr(park_state, cpu);

	for (;;) {
		u64 now = __atomic_load_n(state, __ATOMIC_ACQUIRE);

		if (now == PARKED)
			return true;
		if (now == ASKED && (cpu_thread_idle(cpu) || (arch_ns() > end && step(state, ASKED, RUNS))))
			return false;
		cpu_relax();
	}
}

static bool take_down(unsigned int cpu, u64 end)
{
	bool gone;

	cpus_read_lock();
	cpu_thread_run(cpu, leave, NULL);
	arch_send_ipi(cpu, IPI_RESCHED); /* who has put something on its list may be stopped before the IPI */
	gone = wait_parked(cpu, end);
	if (gone) {
		rcu_adopt();
		watchdog_forget(cpu);
		mm_share_arenas();
	}
	cpus_read_unlock();
	return gone;
}

/* NULL: it has gone. Else the thread on account of which it has not. */
static const char *send_off(unsigned int cpu)
{
	u64 end = arch_ns() + CPU_DOWN_MS * 1000000UL;
	const char *name = sched_bound_to(cpu);

	if (name)
		return name;
	for (;;) {
		name = sched_keeps_cpu(cpu, end);
		if (!name && take_down(cpu, end))
			return NULL;
		if (arch_ns() > end)
			return name ? name : "(a per-CPU thread)";
		sched_pause();
	}
}

static int try_down(unsigned int cpu)
{
	const char *name;

	__atomic_fetch_and(&cpu_active_mask, ~(1UL << cpu), __ATOMIC_SEQ_CST);
	name = send_off(cpu);
	if (!name)
		return 0;
	__atomic_fetch_or(&cpu_active_mask, 1UL << cpu, __ATOMIC_SEQ_CST);
	step(per_cpu_ptr(park_state, cpu), ASKED, RUNS);
	printk("cpu_down: CPU %u stays: thread %s is bound to it, or has kept it for %u ms\n", cpu, name, CPU_DOWN_MS);
	return -EBUSY;
}

static void bring_back(unsigned int cpu)
{
	__atomic_store_n(per_cpu_ptr(park_state, cpu), JOIN, __ATOMIC_SEQ_CST);
	arch_send_nmi(cpu); /* nothing else wakes it */
	wait_for(per_cpu_ptr(park_state, cpu), RUNS);
	cpu_thread_wait(cpu);
	mm_share_arenas();
}

static void check_cpu0(const char *call)
{
	if (smp_processor_id() != 0)
		panic("%s on CPU %u: it is a call of CPU 0's", call, smp_processor_id());
}

int cpu_down(unsigned int cpu)
{
	check_may_wait("cpu_down");
	check_cpu0("cpu_down");
	if (rcu_read_lock_held())
		panic("cpu_down inside a reader: it may wait for threads that wait for it");
	BUG_ON(this_cpu_read64(preempt_count));
	if (cpu >= num_possible_cpus())
		return -EINVAL;
	if (!cpu)
		return -EBUSY;
	if (!cpu_online(cpu))
		return 0;
	if (!cpu_thread_idle(cpu) || !step(per_cpu_ptr(park_state, cpu), RUNS, ASKED))
		return -EBUSY;
	return try_down(cpu);
}

int cpu_up(unsigned int cpu)
{
	check_may_wait("cpu_up");
	check_cpu0("cpu_up");
	if (cpu >= num_possible_cpus())
		return -EINVAL;
	cpus_read_lock();
	if (!cpu_online(cpu))
		bring_back(cpu);
	cpus_read_unlock();
	return 0;
}
