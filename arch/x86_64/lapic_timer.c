/*
 * lapic_timer.c - the timer in each CPU's local APIC: the periodic tick, and one
 * NMI after an exact number of ticks, with which tests stop code where they like.
 *
 * Invariant: the divider is 1 from lapic_timer_cpu_init on, so the timer's clock is
 * the same for both uses. A change first stops the timer, then says what it is to
 * be, then starts it: **the store of the initial count** commits, and no interrupt
 * of the old kind can come after the change of kind. Nothing follows that store but
 * the return: under an exact clock the NMI lands count - 1 instructions further on.
 *
 * This CPU, any context; but a context that sets the timer while it has interrupted
 * a call here sets it in vain.
 */
#include "devices.h"
#include "lapic.h"

/* Ticks a second; set by CPU 0 before there is a second CPU. */
static u64 clock_hz;

void lapic_timer_set_clock(u64 hz)
{
	clock_hz = hz;
}

u64 lapic_timer_clock(void)
{
	return clock_hz;
}

void lapic_timer_cpu_init(void)
{
	lapic_write(LAPIC_TIMER_DIVIDE, TIMER_DIVIDE_BY_1);
	arch_timer_cancel();
}

void arch_timer_cancel(void)
{
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	lapic_write(LAPIC_LVT_TIMER, LVT_MASKED);
}

static u32 period(unsigned int hz)
{
	u64 count = clock_hz / hz;

	if (count > 0xffffffff)
		return 0xffffffff;
	return count ? (u32)count : 1;
}

void arch_timer_set(unsigned int hz)
{
	arch_timer_cancel();
	if (!hz)
		return;
	lapic_write(LAPIC_LVT_TIMER, LVT_PERIODIC | VEC_TIMER);
	lapic_write(LAPIC_TIMER_INITIAL, period(hz));
}

void arch_timer_nmi_oneshot(u32 count)
{
	lapic_write(LAPIC_TIMER_INITIAL, 0);
	lapic_write(LAPIC_LVT_TIMER, LVT_NMI);
	lapic_write(LAPIC_TIMER_INITIAL, count);
}

void lapic_timer_count_begin(void)
{
	arch_timer_cancel();
	lapic_write(LAPIC_TIMER_INITIAL, 0xffffffff);
}

u32 lapic_timer_count(void)
{
	return lapic_read(LAPIC_TIMER_CURRENT);
}
