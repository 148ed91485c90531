/*
 * nmi_source.c - where the periodic NMIs come from.
 *
 * The sources are tried in order of how independent of a locked-up CPU they are;
 * one works if every CPU has taken NMIs from it. The last always exists: in its
 * timer interrupt each CPU sends an NMI to its neighbour. It cannot watch over
 * the only CPU, nor over one whose neighbour is locked up as well.
 *
 * Invariant: `current` and `hz_now` are written by CPU 0 in thread context, and so not
 * while it waits for a CPU that goes or comes, which reads them; the
 * timer interrupt reads `ipi_every`, which is 0 unless the neighbours send.
 */
#include "kernel/nmi_source.h"
#include <anyctx/smp.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/cmdline.h"
#include "kernel/printk.h"
#include "kernel/tick.h"
#include "lib/string.h"

#define SRC_IPI NR_NMI_SRC
#define TRIAL_HZ 100
#define TRIAL_NMIS 2
#define TRIAL_NS 300000000UL
#define TRIAL_NS_PER_CPU 20000000UL
/* And so many ticks: a CPU that its host had put aside has had no trial ... */
#define TRIAL_TICKS 50
#define TRIAL_MOST 10 /* ... but at most so much longer */

static const char *const names[NR_NMI_SRC + 1] = {
	[NMI_SRC_PIT_LINT0] = "pit", [NMI_SRC_IOAPIC_PIT] = "ioapic", [NMI_SRC_HPET] = "hpet",
	[NMI_SRC_PERFCTR] = "perf",  [SRC_IPI] = "ipi",
};
static const char *wanted = "auto";
KPARAM_STR(wanted, "nmi_source", "where periodic NMIs come from: pit, ioapic, hpet, perf, ipi, auto");

static unsigned int current = SRC_IPI, hz_now, ipi_every;
static DEFINE_PER_CPU(u64, ticks_to_ipi);

struct enable {
	enum nmi_source src;
	bool on;
	u32 present;
};

static void enable_here(void *arg)
{
	struct enable *e = arg;

	if (arch_nmi_source_enable_cpu(e->src, e->on))
		__atomic_fetch_add(&e->present, 1, __ATOMIC_RELAXED);
}

static void stop(void)
{
	struct enable e = { .src = (enum nmi_source)current, .on = false };

	if (!hz_now)
		return;
	hz_now = 0;
	if (current == SRC_IPI) {
		WRITE_ONCE(ipi_every, 0);
		return;
	}
	on_each_cpu(enable_here, &e, true);
	arch_nmi_source_stop(e.src);
}

static bool start(unsigned int hz)
{
	struct enable e = { .src = (enum nmi_source)current, .on = true };

	if (current == SRC_IPI) {
		WRITE_ONCE(ipi_every, tick_hz() > hz ? tick_hz() / hz : 1);
		hz_now = hz;
		return true;
	}
	if (!arch_nmi_source_start(e.src, hz))
		return false;
	hz_now = hz;
	on_each_cpu(enable_here, &e, true);
	if (e.present == num_online_cpus())
		return true;
	stop();
	return false;
}

/* While it runs: the CPUs' parts stay as they are, but for a counter of each CPU. */
static bool change(unsigned int hz)
{
	enum nmi_source src = (enum nmi_source)current;

	if (!hz || !hz_now || current == SRC_IPI || current == NMI_SRC_PERFCTR)
		return false;
	arch_nmi_source_stop(src);
	if (!arch_nmi_source_start(src, hz))
		return false;
	hz_now = hz;
	return true;
}

void nmi_source_set_hz(unsigned int hz)
{
	if (change(hz))
		return;
	stop();
	if (hz)
		start(hz);
}

unsigned int nmi_source_hz(void)
{
	return hz_now;
}

const char *nmi_source_name(void)
{
	return names[current];
}

void nmi_source_here(bool on)
{
	if (hz_now && current != SRC_IPI)
		arch_nmi_source_enable_cpu((enum nmi_source)current, on);
}

void nmi_source_tick(void)
{
	u64 every = READ_ONCE(ipi_every);
	unsigned int cpu = next_online_cpu(smp_processor_id() + 1);

	if (!every)
		return;
	this_cpu_add64(ticks_to_ipi, 1);
	if (this_cpu_read64(ticks_to_ipi) < every)
		return;
	this_cpu_write64(ticks_to_ipi, 0);
	arch_send_nmi(cpu < NR_CPUS ? cpu : 0);
}

static bool nmis_came(const u64 *before)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
		if (READ_ONCE(per_cpu_ptr(irq_counts, cpu)->nmi) < before[cpu] + TRIAL_NMIS)
			return false;
	return true;
}

static bool trial_over(u64 start, u64 ticks)
{
	u64 took = arch_ns() - start, ns = TRIAL_NS + TRIAL_NS_PER_CPU * num_online_cpus();

	return took >= ns && (tick_number(0) - ticks >= TRIAL_TICKS || took >= TRIAL_MOST * ns);
}

static bool works(unsigned int src)
{
	u64 before[NR_CPUS], begin, ticks;
	unsigned int cpu;
	bool ok = false;

	current = src;
	for_each_online_cpu(cpu)
		before[cpu] = READ_ONCE(per_cpu_ptr(irq_counts, cpu)->nmi);
	if (!start(TRIAL_HZ))
		return false;
	begin = arch_ns();
	ticks = tick_number(0);
	while (!ok && !trial_over(begin, ticks)) {
		ok = nmis_came(before);
		cpu_relax();
	}
	stop();
	return ok;
}

bool nmi_source_choose(const char *name)
{
	unsigned int was = current;

	stop();
	for (unsigned int src = 0; src <= SRC_IPI; src++)
		if (!strcmp(names[src], name) && works(src))
			return true;
	current = was;
	return false;
}

bool nmi_source_init(void)
{
	if (strcmp(wanted, "auto")) {
		if (nmi_source_choose(wanted))
			return true;
		printk("error: nmi_source=%s: unknown, or this machine does not have it\n", wanted);
		return false;
	}
	for (unsigned int src = 0; src <= SRC_IPI; src++)
		if (works(src))
			return true;
	printk("error: no source of NMIs works\n");
	return false;
}
