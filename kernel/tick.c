/*
 * tick.c - the timer interrupts of all CPUs.
 *
 * Invariant: `ticks` of a CPU is written by its timer interrupt only, with one
 * instruction; it is what the watchdog takes for a sign of life. The rate is
 * changed by CPU 0 in thread context.
 */
#include "kernel/tick.h"
#include <anyctx/smp.h>
#include <arch/irq.h>
#include "kernel/cmdline.h"
#include "kernel/nmi_source.h"
#include "kernel/sched.h"

#define FULL_HZ 1000
#define FULL_CPUS 4
#define LEAST_HZ 20

static s64 hz_wanted;
KPARAM_INT(hz_wanted, "hz", 0, 10000,
	   "timer interrupts a second and CPU; 0: 1000, with more than 4 CPUs fewer");
static DEFINE_PER_CPU(u64, ticks);
static unsigned int hz_now;

u64 tick_number(unsigned int cpu)
{
	return READ_ONCE(*per_cpu_ptr(ticks, cpu));
}

unsigned int tick_hz(void)
{
	return READ_ONCE(hz_now);
}

unsigned int tick_default_hz(void)
{
	unsigned int hz = FULL_HZ, cpus = num_possible_cpus();

	if (hz_wanted)
		return (unsigned int)hz_wanted;
	if (cpus > FULL_CPUS)
		hz = FULL_HZ * FULL_CPUS / cpus;
	return hz < LEAST_HZ ? LEAST_HZ : hz;
}

static void set_here(void *unused)
{
	(void)unused;
	arch_timer_set(tick_hz());
}

void tick_set_hz(unsigned int hz)
{
	WRITE_ONCE(hz_now, hz);
	on_each_cpu(set_here, NULL, true);
}

void tick_init(void)
{
	tick_set_hz(tick_default_hz());
}

void tick_count(void)
{
	this_cpu_add64(ticks, 1);
	nmi_source_tick();
	sched_tick();
}
