/*
 * nmi.c - the sources of periodic NMIs: which device, by which way to the CPUs.
 *
 * Invariant: at most one source is on, and `current` is it: set before its device
 * starts and cleared after it has stopped, by one store. Starting and stopping: CPU 0
 * in thread context. arch_nmi_source_enable_cpu: each CPU for itself, in thread or
 * interrupt context. nmi_ack: NMIs.
 */
#include <arch/time.h>
#include "devices.h"

#define TIMER_ISA_IRQ 0

static u32 hpet_gsi;

static bool pit_lint0_start(unsigned int hz)
{
	if (!pit_present() || !pic_present())
		return false;
	pit_start(hz);
	pic_timer_unmask(true);
	return true;
}

static void pit_lint0_stop(void)
{
	pic_timer_unmask(false);
	pit_stop();
}

/* One controller for all CPUs: one of them answers it. */
static void lint0_ack(void)
{
	if (smp_processor_id() == 0)
		pic_timer_ack();
}

/* What came while LINT0 was still masked would keep the next one from coming. */
static bool lint0_cpu(bool on)
{
	lapic_lint0_nmi(on);
	if (on)
		lint0_ack();
	return true;
}

static bool pit_ioapic_start(unsigned int hz)
{
	u32 gsi = machine.isa[TIMER_ISA_IRQ].gsi;

	if (!pit_present())
		return false;
	if (!ioapic_nmi_on(gsi, ACPI_POLARITY(machine.isa[TIMER_ISA_IRQ].flags) == ACPI_ACTIVE_LOW))
		return false;
	pit_start(hz);
	return true;
}

static void pit_ioapic_stop(void)
{
	pit_stop();
	ioapic_mask(machine.isa[TIMER_ISA_IRQ].gsi);
}

static bool hpet_ioapic_start(unsigned int hz)
{
	int gsi = hpet_start(hz);

	if (gsi < 0)
		return false;
	hpet_gsi = (u32)gsi;
	if (ioapic_nmi_on(hpet_gsi, false))
		return true;
	hpet_stop();
	return false;
}

static void hpet_ioapic_stop(void)
{
	hpet_stop();
	ioapic_mask(hpet_gsi);
}

static bool every_cpu(bool on)
{
	(void)on; /* nothing to do: it is sent to all */
	return true;
}

static void no_ack(void)
{
}

static bool perfctr_start(unsigned int hz)
{
	if (!perfctr_present())
		return false;
	perfctr_set_hz(hz);
	return true;
}

static void perfctr_stop(void)
{
	/* Each CPU has its own, which arch_nmi_source_enable_cpu has switched off. */
}

static bool perfctr_enable(bool on)
{
	if (!perfctr_present())
		return false;
	perfctr_cpu(on);
	return true;
}

static const struct source {
	const char *name;
	bool (*start)(unsigned int hz);
	void (*stop)(void);
	bool (*cpu)(bool on);
	void (*ack)(void);
} sources[NR_NMI_SRC] = {
	[NMI_SRC_PIT_LINT0] = { "PIT at LINT0", pit_lint0_start, pit_lint0_stop, lint0_cpu,
				lint0_ack },
	[NMI_SRC_IOAPIC_PIT] = { "PIT by I/O APIC", pit_ioapic_start, pit_ioapic_stop, every_cpu,
				 no_ack },
	[NMI_SRC_HPET] = { "HPET by I/O APIC", hpet_ioapic_start, hpet_ioapic_stop, every_cpu,
			   no_ack },
	[NMI_SRC_PERFCTR] = { "performance counter", perfctr_start, perfctr_stop, perfctr_enable,
			      perfctr_ack },
};

static const struct source *current; /* NULL: none is on */

bool arch_nmi_source_start(enum nmi_source src, unsigned int hz)
{
	WRITE_ONCE(current, &sources[src]);
	barrier();
	if (sources[src].start(hz))
		return true;
	WRITE_ONCE(current, NULL);
	return false;
}

void arch_nmi_source_stop(enum nmi_source src)
{
	sources[src].stop();
	barrier();
	WRITE_ONCE(current, NULL);
}

void nmi_ack(void)
{
	const struct source *s = READ_ONCE(current);

	if (s)
		s->ack();
}

bool arch_nmi_source_enable_cpu(enum nmi_source src, bool on)
{
	return sources[src].cpu(on);
}

const char *arch_nmi_source_name(enum nmi_source src)
{
	return sources[src].name;
}
