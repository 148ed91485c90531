/*
 * perfctr.c - each CPU's performance counter as a source of NMIs: it counts the
 * cycles in which the CPU is not halted, and raises one when it runs over. So an
 * idle CPU gets none, and QEMU's CPUs have no counter at all; this file has only
 * ever been tried as far as saying so.
 *
 * Invariant: a CPU's counter is on exactly while its `reload` is not 0. The counter
 * masks its own input as it raises the NMI, and every NMI of a CPU whose counter has
 * run over winds it up again. `reload`: this CPU, written in thread or interrupt
 * context, read in NMIs.
 */
#include <arch/time.h>
#include "devices.h"

#define MSR_COUNT0 0xc1
#define MSR_SELECT0 0x186
#define MSR_GLOBAL_CONTROL 0x38f
#define MSR_GLOBAL_CLEAR 0x390
#define COUNTER0 1UL
/* Cycles not halted; in the kernel; interrupt; on. */
#define SELECT_CYCLES (0x3cUL | 1UL << 17 | 1UL << 20 | 1UL << 22)
#define CYCLES_MISSING 1u /* CPUID 0xA EBX bit 0 */
#define WRITABLE 0x7fffffffUL /* a write takes 31 bits and extends the sign */

static u64 cycles; /* from one NMI to the next; set by CPU 0 */
static DEFINE_PER_CPU(u64, reload);

static unsigned int version(void)
{
	return cpuid(0, 0).eax < 0xa ? 0 : cpuid(0xa, 0).eax & 0xff;
}

bool perfctr_present(void)
{
	struct cpuid r;

	if (!version())
		return false;
	r = cpuid(0xa, 0);
	return (r.eax >> 8 & 0xff) > 0 && (r.eax >> 24) > 0 && !(r.ebx & CYCLES_MISSING);
}

void perfctr_set_hz(unsigned int hz)
{
	cycles = arch_tsc_hz() / hz;
	if (cycles > WRITABLE)
		cycles = WRITABLE;
}

static void wind_up(void)
{
	wrmsr(MSR_COUNT0, -this_cpu_read64(reload));
	if (version() >= 2)
		wrmsr(MSR_GLOBAL_CLEAR, COUNTER0);
	lapic_perf_nmi(true);
}

void perfctr_cpu(bool on)
{
	this_cpu_write64(reload, 0);
	wrmsr(MSR_SELECT0, 0);
	lapic_perf_nmi(false);
	if (!on)
		return;
	this_cpu_write64(reload, cycles);
	wind_up();
	if (version() >= 2)
		wrmsr(MSR_GLOBAL_CONTROL, rdmsr(MSR_GLOBAL_CONTROL) | COUNTER0);
	wrmsr(MSR_SELECT0, SELECT_CYCLES);
}

/* The counter is negative until it has run over. */
void perfctr_ack(void)
{
	if (!this_cpu_read64(reload) || rdmsr(MSR_COUNT0) & (WRITABLE + 1))
		return;
	wind_up();
}
