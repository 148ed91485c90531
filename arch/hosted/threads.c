/*
 * threads.c - what stands for the scheduler in a process: nothing. A CPU is a thread of
 * the host, its interrupts are signals on a stack of their own, from which another thread
 * of the kernel could not go on. So each CPU has its one thread (kernel/threads.c),
 * nobody is preempted, and kthread.h is not there.
 */
#include <arch/irq.h>
#include "kernel/crash.h"
#include "kernel/sched.h"

void sched_prepare(void)
{
}

void sched_preempt(void)
{
}

void sched_tick(void)
{
}

void sched_ipi(void)
{
}

void cpu_idle(void)
{
	arch_idle();
}

void call_in_thread(int (*fn)(void *arg), void *arg)
{
	fn(arg);
}

const char *sched_bound_to(unsigned int cpu)
{
	(void)cpu;
	return NULL;
}

const char *sched_keeps_cpu(unsigned int cpu, u64 end)
{
	(void)cpu;
	(void)end;
	return NULL;
}

bool sched_may_leave(void)
{
	return true;
}

void sched_leave(void)
{
}

void sched_left(void)
{
}

u64 sched_switches(unsigned int cpu)
{
	(void)cpu;
	return 0;
}

void sched_pause(void)
{
	cpu_relax();
}

crash_fn_t crash_of_threads(const char *how)
{
	(void)how;
	return NULL;
}

/* With nothing on its list: only to wake it. */
void cpu_wake(unsigned int cpu)
{
	arch_send_ipi(cpu, IPI_CALL);
}
