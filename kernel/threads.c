/*
 * threads.c - the one thread of each CPU: CPU 0's runs main, the others' idle
 * until they are given a function.
 *
 * Invariant: a CPU's `state` goes IDLE -> QUEUED by one store of the giver, after
 * function and argument, and QUEUED -> IDLE by one store of the CPU, after the
 * function has returned. The idle loop looks with interrupts off and then sleeps as
 * any thread does (kthread.h): a wake-up after the store is either seen as state or
 * ends the sleep. Meanwhile other threads run. One giver at a time, in thread context.
 */
#include <anyctx/lockdep.h>
#include <anyctx/smp.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/panic.h"
#include "kernel/sched.h"

enum thread_state { IDLE, QUEUED };

struct cpu_thread {
	u64 state;
	void (*fn)(void *);
	void *arg;
};
static DEFINE_PER_CPU(struct cpu_thread, cpu_thread);

static void run(void (*fn)(void *), void *arg)
{
	u64 mark = lock_mark();

	lock_serve_thread(fn);
	fn(arg);
	lock_done(fn);
	lock_ends("a thread's function", mark);
}

void kernel_secondary(unsigned int cpu)
{
	struct cpu_thread *t = per_cpu_ptr(cpu_thread, cpu);

	for (;;) {
		arch_irq_disable();
		if (__atomic_load_n(&t->state, __ATOMIC_ACQUIRE) == QUEUED) {
			arch_irq_enable();
			run(t->fn, t->arg);
			__atomic_store_n(&t->state, IDLE, __ATOMIC_RELEASE);
		} else {
			cpu_idle();
		}
	}
}

bool cpu_thread_idle(unsigned int cpu)
{
	return __atomic_load_n(&per_cpu_ptr(cpu_thread, cpu)->state, __ATOMIC_ACQUIRE) == IDLE;
}

void cpu_thread_wait(unsigned int cpu)
{
	lock_wait_thread(per_cpu_ptr(cpu_thread, cpu)->fn);
	while (!cpu_thread_idle(cpu))
		cpu_relax();
}

void cpu_thread_run(unsigned int cpu, void (*fn)(void *), void *arg)
{
	struct cpu_thread *t = per_cpu_ptr(cpu_thread, cpu);

	BUG_ON(cpu == 0 || !cpu_online(cpu));
	cpu_thread_wait(cpu);
	t->fn = fn;
	t->arg = arg;
	__atomic_store_n(&t->state, QUEUED, __ATOMIC_SEQ_CST);
	cpu_wake(cpu);
}

void on_each_cpu_thread(void (*fn)(void *), void *arg)
{
	unsigned int cpu;

	BUG_ON(smp_processor_id() != 0);
	for_each_online_cpu(cpu)
		if (cpu)
			cpu_thread_run(cpu, fn, arg);
	fn(arg);
	for_each_online_cpu(cpu)
		if (cpu)
			cpu_thread_wait(cpu);
}
