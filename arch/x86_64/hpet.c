/*
 * hpet.c - the high precision event timer: a clock, and a source of interrupts.
 *
 * Invariant: after hpet_init the counter runs and is never set, so it may be read
 * from any context; all timers are off but the one that hpet_start took. The rest
 * is for CPU 0, in thread context or booting.
 */
#include "kernel/printk.h"
#include "devices.h"

#define REGS_SIZE 1024
#define CAPABILITIES 0x000
#define CONFIG 0x010
#define COUNTER 0x0f0
#define TIMER(n) (0x100 + 0x20 * (n))
#define COMPARATOR 0x08 /* of a timer */

#define CAP_PERIOD(c) ((c) >> 32) /* femtoseconds */
#define CAP_LAST_TIMER(c) ((unsigned int)((c) >> 8 & 31))
#define CAP_64_BIT (1UL << 13)
#define LONGEST_PERIOD 100000000UL
#define FEMTOSECONDS 1000000000000000UL

#define CONFIG_RUN (1UL << 0)
#define CONFIG_LEGACY (1UL << 1) /* timers 0 and 1 in the place of PIT and clock */

#define TIMER_ENABLE (1UL << 2)
#define TIMER_PERIODIC (1UL << 3)
#define TIMER_CAN_BE_PERIODIC (1UL << 4)
#define TIMER_SET_PERIOD (1UL << 6)
#define TIMER_INPUTS(t) ((u32)((t) >> 32)) /* bit n: can go to input n */
#define TIMER_INPUT(n) ((u64)(n) << 9)

static volatile u8 *regs;
static u64 hz, counter_mask;
static int used = -1; /* the timer that hpet_start took */

static u64 read(unsigned int reg)
{
	return *(volatile u64 *)(regs + reg);
}

static void write(unsigned int reg, u64 v)
{
	*(volatile u64 *)(regs + reg) = v;
}

void hpet_find(void)
{
	if (!machine.hpet_base)
		return;
	if (!(machine.hpet_base & 7) && machine_device_at(machine.hpet_base, REGS_SIZE))
		regs = arch_map_mmio(machine.hpet_base, REGS_SIZE);
	else
		printk("hpet: ignored: no device can be at %lx\n", machine.hpet_base);
}

void hpet_init(void)
{
	u64 cap, period;

	if (!regs)
		return;
	cap = read(CAPABILITIES);
	period = CAP_PERIOD(cap);
	if (!period || period > LONGEST_PERIOD) {
		printk("hpet: ignored: a period of %lu fs\n", period);
		return;
	}
	write(CONFIG, read(CONFIG) & ~(CONFIG_RUN | CONFIG_LEGACY));
	for (unsigned int n = 0; n <= CAP_LAST_TIMER(cap); n++)
		write(TIMER(n), 0);
	write(COUNTER, 0);
	write(CONFIG, CONFIG_RUN);
	counter_mask = cap & CAP_64_BIT ? ~0UL : 0xffffffff;
	hz = (FEMTOSECONDS + period / 2) / period;
}

u64 hpet_hz(void)
{
	return hz;
}

u64 hpet_read(void)
{
	return read(COUNTER) & counter_mask;
}

/* Periodic, and with an input to go to: a high one, as no ISA device shares it. */
static int timer_choose(u32 *input)
{
	for (unsigned int n = 0; n <= CAP_LAST_TIMER(read(CAPABILITIES)); n++) {
		u64 t = read(TIMER(n));

		if (!(t & TIMER_CAN_BE_PERIODIC) || !TIMER_INPUTS(t))
			continue;
		*input = 31 - (u32)__builtin_clz(TIMER_INPUTS(t));
		return (int)n;
	}
	return -1;
}

int hpet_start(unsigned int rate)
{
	u64 period = hz / rate;
	u32 input;

	if (!hz)
		return -1;
	used = timer_choose(&input);
	if (used < 0)
		return -1;
	if (period > 0xffffffff)
		period = 0xffffffff; /* what a timer of 32 bits holds */
	write(TIMER(used), TIMER_INPUT(input) | TIMER_PERIODIC | TIMER_SET_PERIOD | TIMER_ENABLE);
	/* The first store sets when, the second how often. */
	write(TIMER(used) + COMPARATOR, (hpet_read() + period) & counter_mask);
	write(TIMER(used) + COMPARATOR, period);
	return (int)input;
}

void hpet_stop(void)
{
	if (used >= 0)
		write(TIMER(used), 0);
	used = -1;
}
