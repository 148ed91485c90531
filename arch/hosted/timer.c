/*
 * timer.c - each CPU's timers, and the clock.
 *
 * A CPU has three timers of its own, made once and then set: the tick, the source of
 * periodic NMIs, and one NMI by appointment. Their signals go to its thread. The one
 * source of NMIs counts as a performance counter, which also is each CPU's own.
 *
 * Setting: this CPU, any context. The clock: any context, equal on all CPUs.
 */
#include <arch/time.h>
#include <time.h>
#include "host.h"
#include "kernel/printk.h"

#define SECOND 1000000000UL
#define CALIBRATE_NS 10000000UL

static u64 start_ns, tsc_hz;
static unsigned int source_hz;

/* ---- the clock ---- */

static u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * SECOND + (u64)t.tv_nsec;
}

u64 arch_ns(void)
{
	return start_ns ? now() - start_ns : 0;
}

u64 arch_tsc_hz(void)
{
	return tsc_hz;
}

void arch_udelay(u64 us)
{
	u64 end = now() + us * 1000;

	while (now() < end)
		cpu_relax();
}

void time_init(void)
{
	u64 ns = now(), tsc = arch_rdtsc();

	while (now() - ns < CALIBRATE_NS)
		;
	tsc_hz = (arch_rdtsc() - tsc) * SECOND / (now() - ns);
	start_ns = ns;
	printk("clock: TSC %lu kHz, by the host's\n", tsc_hz / 1000);
}

/* ---- timers ---- */

static void timer_create_one(struct host_cpu *c, enum host_timer t, int sig)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = sig };

	ev._sigev_un._tid = c->tid;
	if (host_syscall(SYS_timer_create, CLOCK_MONOTONIC, (u64)&ev, (u64)&c->timers[t], 0))
		host_die("no timer");
}

void timers_create(unsigned int cpu)
{
	struct host_cpu *c = &host_cpus[cpu];

	timer_create_one(c, TIMER_TICK, SIG_IRQ);
	timer_create_one(c, TIMER_NMI, SIG_NMI);
	timer_create_one(c, TIMER_NMI_ONCE, SIG_NMI);
}

static struct timespec timespec_of(u64 ns)
{
	return (struct timespec){ .tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND) };
}

static void timer_set(enum host_timer t, u64 first_ns, u64 period_ns)
{
	struct itimerspec spec = {
		.it_value = timespec_of(first_ns), .it_interval = timespec_of(period_ns),
	};

	host_syscall(SYS_timer_settime, (u64)host_cpus[smp_processor_id()].timers[t], 0, (u64)&spec, 0);
}

static void timer_set_hz(enum host_timer t, unsigned int hz)
{
	u64 period = hz ? SECOND / hz : 0;

	timer_set(t, period, period);
}

void arch_timer_set(unsigned int hz)
{
	timer_set_hz(TIMER_TICK, hz);
}

void arch_timer_cancel(void)
{
	timer_set(TIMER_TICK, 0, 0);
	timer_set(TIMER_NMI_ONCE, 0, 0);
}

/* A tick of the bus is a nanosecond here. Not exact: a sample, no more. */
void arch_timer_nmi_oneshot(u32 count)
{
	timer_set(TIMER_TICK, 0, 0);
	timer_set(TIMER_NMI_ONCE, count ? count : 1, 0);
}

bool arch_nmi_source_start(enum nmi_source src, unsigned int hz)
{
	if (src != NMI_SRC_PERFCTR)
		return false;
	source_hz = hz;
	return true;
}

void arch_nmi_source_stop(enum nmi_source src)
{
	(void)src; /* each CPU has stopped its own */
}

bool arch_nmi_source_enable_cpu(enum nmi_source src, bool on)
{
	if (src == NMI_SRC_PERFCTR)
		timer_set_hz(TIMER_NMI, on ? source_hz : 0);
	return src == NMI_SRC_PERFCTR;
}

const char *arch_nmi_source_name(enum nmi_source src)
{
	return src == NMI_SRC_PERFCTR ? "timer of the thread" : "not on this machine";
}
