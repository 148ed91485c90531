/*
 * cpu.c - which CPUs are online; taking one off and back.
 *
 * Invariant: a CPU's bit in cpu_online_mask is changed by that CPU alone, in its thread
 * with interrupts off, by one locked instruction: the commit. Who puts something on a list
 * of another CPU looks at its bit after that (smp_call.c, irq_work.c); a CPU that goes
 * takes its lists after it has cleared the bit. Both are full barriers, so one of the two
 * sees the other, and nothing stays behind on a list.
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
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/panic.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "lib/bits.h"
#include "mm/mm.h"

u64 cpu_online_mask = 1;
static unsigned int possible = 1;
static spinlock_t cpus_lock = SPINLOCK_INIT;

/* RUNS -> PARKED, when it has given back all; PARKED -> JOIN by CPU 0, which wants it back;
 * JOIN -> RUNS when it is. */
enum parking { RUNS, PARKED, JOIN };
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
}

static void check_thread(void)
{
	BUG_ON(!in_thread() || arch_irqs_disabled());
}

void cpus_read_lock(void)
{
	check_thread();
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

	__atomic_fetch_and(&cpu_online_mask, ~my_bit(), __ATOMIC_SEQ_CST);
	was = context_enter(CTX_IRQ, CTX_DEPTH_IRQ);
	smp_call_serve();
	irq_work_serve();
	rcu_note_quiet();
	context_leave(was, CTX_DEPTH_IRQ);
	arch_timer_set(0);
	nmi_source_here(false);
}

/* The rates are read after the commit: they are the right ones, or a call comes that
 * changes them. The IPIs are for what others put on the lists since. */
static void go_online(void)
{
	__atomic_fetch_or(&cpu_online_mask, my_bit(), __ATOMIC_SEQ_CST);
	rcu_note_quiet();
	arch_timer_set(tick_hz());
	nmi_source_here(true);
	arch_send_ipi(smp_processor_id(), IPI_IRQ_WORK);
	arch_send_ipi(smp_processor_id(), IPI_CALL);
	arch_send_ipi(smp_processor_id(), IPI_RESCHED);
}

/* The first flush has interrupts on: it is the one with much to do. */
static void leave(void *unused)
{
	u64 *state = this_cpu_ptr(park_state);

	(void)unused;
	rcu_leave();
	mm_cpu_flush();
	arch_irq_disable();
	go_offline();
	rcu_leave();
	mm_cpu_flush();
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

static void take_down(unsigned int cpu)
{
	cpu_thread_run(cpu, leave, NULL);
	wait_for(per_cpu_ptr(park_state, cpu), PARKED);
	watchdog_forget(cpu);
	mm_share_arenas();
}

static void bring_back(unsigned int cpu)
{
	__atomic_store_n(per_cpu_ptr(park_state, cpu), JOIN, __ATOMIC_SEQ_CST);
	arch_send_nmi(cpu); /* nothing else wakes it */
	wait_for(per_cpu_ptr(park_state, cpu), RUNS);
	cpu_thread_wait(cpu);
	mm_share_arenas();
}

int cpu_down(unsigned int cpu)
{
	int err = 0;

	BUG_ON(smp_processor_id() != 0);
	if (cpu >= num_possible_cpus())
		return -EINVAL;
	cpus_read_lock();
	if (!cpu || (cpu_online(cpu) && (!cpu_thread_idle(cpu) || kthreads_on(cpu))))
		err = -EBUSY;
	else if (cpu_online(cpu))
		take_down(cpu);
	cpus_read_unlock();
	return err;
}

int cpu_up(unsigned int cpu)
{
	BUG_ON(smp_processor_id() != 0);
	if (cpu >= num_possible_cpus())
		return -EINVAL;
	cpus_read_lock();
	if (!cpu_online(cpu))
		bring_back(cpu);
	cpus_read_unlock();
	return 0;
}
