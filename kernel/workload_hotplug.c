/*
 * workload_hotplug.c - CPUs go and come during the main job (workload_hotplug.h).
 *
 * One at a time, in turn. CPU 0 asks the CPU's thread to end (`going`), as a CPU goes only
 * when its first thread is idle; interrupts, NMIs and breakpoints work there on to the last.
 *
 * Invariant: `going` is the CPU whose thread is to end, 0: none; `off` the one that is
 * offline, 0: none. Both are written by CPU 0's thread.
 */
#include "kernel/workload_hotplug.h"
#include <anyctx/cpu.h>
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include "kernel/cmdline.h"
#include "kernel/hooks.h"
#include "kernel/printk.h"

static s64 period_ms;
KPARAM_INT(period_ms, "hotplug", 0, 60000,
	   "main job: so often, in milliseconds, a CPU goes offline or comes back; 0: all stay");

static unsigned int going, off, last;
static u64 next_ns, went, stayed;
static void (*work_there)(void *);

bool hotplug_stops_here(void)
{
	unsigned int cpu = __atomic_load_n(&going, __ATOMIC_RELAXED);

	return cpu && cpu == smp_processor_id();
}

static bool asked_for(void)
{
	return period_ms && num_possible_cpus() > 1;
}

void hotplug_begin(void (*work)(void *), u64 now)
{
	work_there = work;
	going = off = last = 0;
	went = stayed = 0;
	next_ns = now + (u64)period_ms * 1000000;
}

/* It has ended: it may begin anew, offline or not. */
static void one_goes(void)
{
	unsigned int cpu = last = last % (num_possible_cpus() - 1) + 1;

	__atomic_store_n(&going, cpu, __ATOMIC_RELAXED);
	cpu_thread_wait(cpu);
	__atomic_store_n(&going, 0, __ATOMIC_RELAXED);
	if (cpu_down(cpu)) {
		stayed++;
		cpu_thread_run(cpu, work_there, NULL);
		return;
	}
	went++;
	off = cpu;
}

static void it_comes(void)
{
	unsigned int cpu = off;

	off = 0;
	cpu_up(cpu);
	cpu_thread_run(cpu, work_there, NULL);
}

void hotplug_step(u64 now)
{
	if (!asked_for() || now < next_ns)
		return;
	next_ns = now + (u64)period_ms * 1000000;
	if (off)
		it_comes();
	else
		one_goes();
}

void hotplug_end(void)
{
	if (off)
		cpu_up(off);
	off = 0;
}

bool hotplug_print(void)
{
	if (!asked_for())
		return true;
	printk("CPUs went offline %lu times, and stayed %lu times\n", went, stayed);
	return went && !stayed;
}
