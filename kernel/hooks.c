/*
 * hooks.c - the calls of the entry code into the kernel, and the hooks in them.
 *
 * Invariant: while a CPU is in a hook (or in the watchdog's part), its
 * `active` is above 0; `rounds` grows each time that it comes back to 0. The
 * pointer is read after `active` was raised, with a full barrier in between, so a
 * hook_sync() that comes after the pointer was changed either sees `active`, or
 * the hook sees the new pointer. Each change of a hook is one store. All counters
 * are written by their own CPU only, with one instruction.
 */
#include "kernel/hooks.h"
#include <anyctx/lockdep.h>
#include <anyctx/percpu.h>
#include <anyctx/smp.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/sanitize.h>
#include "kernel/panic.h"
#include "kernel/rcu.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "mm/mm.h"

static irq_hook_t tick_hook, nmi_hook;
static trap_hook_t trap_hook;

struct hook_cpu {
	u64 active, rounds;
};
static DEFINE_PER_CPU(struct hook_cpu, hook_cpu);

static void hook_enter(void)
{
	this_cpu_add64(hook_cpu.active, 1);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	lock_serve(&lock_hooks);
}

static void hook_leave(void)
{
	struct hook_cpu *h = this_cpu_ptr(hook_cpu);

	lock_done(&lock_hooks);

	sanitize_release(&h->active);
	sanitize_release(&h->rounds);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	this_cpu_add64(hook_cpu.active, -1);
	if (!this_cpu_read64(hook_cpu.active))
		this_cpu_add64(hook_cpu.rounds, 1);
}

void set_tick_hook(irq_hook_t fn)
{
	__atomic_store_n(&tick_hook, fn, __ATOMIC_SEQ_CST);
}

void set_nmi_hook(irq_hook_t fn)
{
	__atomic_store_n(&nmi_hook, fn, __ATOMIC_SEQ_CST);
}

void set_trap_hook(trap_hook_t fn)
{
	__atomic_store_n(&trap_hook, fn, __ATOMIC_SEQ_CST);
}

void hook_sync(void)
{
	lock_wait_service(&lock_hooks);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++) {
		struct hook_cpu *h = per_cpu_ptr(hook_cpu, cpu);
		u64 rounds = __atomic_load_n(&h->rounds, __ATOMIC_ACQUIRE);

		while (__atomic_load_n(&h->active, __ATOMIC_ACQUIRE) &&
		       __atomic_load_n(&h->rounds, __ATOMIC_ACQUIRE) == rounds)
			cpu_relax();
	}
}

/* ---- called by the entry code ---- */

void kernel_timer_tick(struct regs *r)
{
	u64 mark = lock_mark();
	irq_hook_t fn;

	tick_count();
	hook_enter();
	watchdog_tick();
	fn = __atomic_load_n(&tick_hook, __ATOMIC_ACQUIRE);
	if (fn)
		fn(r);
	hook_leave();
	lock_ends("a timer interrupt", mark);
}

void kernel_nmi(struct regs *r)
{
	u64 mark = lock_mark();
	irq_hook_t fn;

	if (panic_nmi(r))
		return;
	hook_enter();
	reclaim_answer();
	fn = __atomic_load_n(&nmi_hook, __ATOMIC_ACQUIRE);
	if (cpu_online(smp_processor_id())) { /* else it goes, and is to keep nothing */
		watchdog_nmi(r);
		if (fn)
			fn(r);
	}
	hook_leave();
	lock_ends("an NMI", mark);
}

static bool call_trap_hook(struct regs *r, u64 dr6)
{
	trap_hook_t fn = __atomic_load_n(&trap_hook, __ATOMIC_ACQUIRE);
	bool handled = fn && fn(r, dr6);

	if (unlikely(!cpu_online(smp_processor_id())) && arch_debug_disturbed())
		mm_cpu_flush(); /* it goes, and is to keep nothing of what the hook has left */
	return handled;
}

/* Of a CPU that is offline: its readers are waited for as long as there may be some. */
static bool call_trap_hook_reading(struct regs *r, u64 dr6)
{
	bool handled;

	rcu_join();
	handled = call_trap_hook(r, dr6);
	rcu_part();
	return handled;
}

bool kernel_debug_trap(struct regs *r, u64 dr6)
{
	u64 mark = lock_mark();
	bool handled;

	hook_enter();
	handled = likely(rcu_may_read()) ? call_trap_hook(r, dr6) : call_trap_hook_reading(r, dr6);
	hook_leave();
	lock_ends("a breakpoint's handler", mark);
	return handled;
}

void kernel_ipi(enum ipi what, struct regs *r)
{
	u64 mark = lock_mark();

	(void)r;
	lock_serve(&lock_interrupts);
	if (what == IPI_IRQ_WORK)
		irq_work_serve();
	else if (what == IPI_CALL)
		smp_call_serve();
	else
		sched_ipi();
	lock_done(&lock_interrupts);
	lock_ends("an interrupt of another CPU", mark);
}
