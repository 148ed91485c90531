/*
 * workload_rate.c - finds the rate of NMIs that the machine bears.
 *
 * After a time to warm up, the progress of threads (operations) and of timer interrupts
 * (ticks) is measured without the source; then with it, at rates each half as high
 * again as the last, for as long as both keep half of their speed: at the next rate
 * they then still have a quarter. (An emulator that is busy with the source loses ticks
 * first.) The last good rate stays; but if either falls below a quarter later, it goes
 * down, and it goes up while both have three quarters: an emulator's host has others to
 * serve, now and then.
 *
 * All of it is CPU 0's thread's.
 */
#include "kernel/workload_rate.h"
#include <anyctx/smp.h>
#include <arch/time.h>
#include "kernel/nmi_source.h"
#include "kernel/tick.h"
#include "kernel/workload_op.h"

#define SECOND 1000000000UL
#define WARM_UP_NS (SECOND / 2)
#define TRIAL_NS (SECOND / 4)
#define LONG_TRIAL_NS SECOND /* with more CPUs than a host may have to run at once */
#define FEW_CPUS 4
#define FIRST_HZ 1000
#define LEAST_HZ 100
#define MOST_HZ 25000

struct progress {
	u64 operations, ticks; /* up to now; or a second */
};

static unsigned int hz;
static bool warm, found;
static struct progress base;
static u64 since_ns;
static struct progress since;

static struct progress progress_now(void)
{
	struct op_counts n = { .allocs = 0 };
	struct progress p = { .ticks = 0 };

	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++) {
		ops_count(cpu, CTX_THREAD, &n);
		p.ticks += tick_number(cpu);
	}
	p.operations = n.allocs + n.frees;
	return p;
}

static void measure_anew(void)
{
	since = progress_now();
	since_ns = arch_ns();
}

static struct progress speed_at(u64 now)
{
	struct progress p = progress_now();

	return (struct progress){
		.operations = (p.operations - since.operations) * SECOND / (now - since_ns),
		.ticks = (p.ticks - since.ticks) * SECOND / (now - since_ns),
	};
}

/* Does either have less than so many quarters of its speed without the source? */
static bool slower(struct progress p, u64 quarters)
{
	return p.operations < base.operations * quarters / 4 || p.ticks < base.ticks * quarters / 4;
}

static void set(u64 new)
{
	hz = (unsigned int)(new > MOST_HZ ? MOST_HZ : new < LEAST_HZ ? LEAST_HZ : new);
	nmi_source_set_hz(hz);
}

static void lower(void)
{
	if (hz > LEAST_HZ)
		set(hz - hz / 3);
}

static void raise(void)
{
	if (hz < MOST_HZ)
		set(hz + hz / 2);
}

void rate_begin(void)
{
	nmi_source_set_hz(0);
	hz = 0;
	warm = found = false;
	measure_anew();
}

static void next_trial(struct progress p)
{
	if (!warm) {
		warm = true;
	} else if (!hz) {
		base = p;
		set(FIRST_HZ);
	} else if (slower(p, found ? 1 : 2)) {
		found = true;
		lower();
	} else if (!found || !slower(p, 3)) {
		raise();
	}
}

static u64 trial_ns(void)
{
	if (!warm)
		return WARM_UP_NS;
	return num_online_cpus() <= FEW_CPUS ? TRIAL_NS : LONG_TRIAL_NS;
}

void rate_adapt(u64 now)
{
	if (now - since_ns < trial_ns())
		return;
	next_trial(speed_at(now));
	measure_anew();
}

void rate_end(void)
{
	nmi_source_set_hz(0);
}

unsigned int rate_hz(void)
{
	return hz;
}
