/*
 * lapic.h - the registers of the local APIC, for lapic.c and lapic_timer.c.
 */
#ifndef X86_LAPIC_H
#define X86_LAPIC_H

#include "x86.h"

enum lapic_reg {
	LAPIC_ID = 0x20,
	LAPIC_VERSION = 0x30,
	LAPIC_TPR = 0x80,
	LAPIC_EOI = 0xb0,
	LAPIC_SVR = 0xf0,
	LAPIC_ESR = 0x280,
	LAPIC_ICR = 0x300,
	LAPIC_ICR_HIGH = 0x310, /* xAPIC only */
	LAPIC_LVT_TIMER = 0x320,
	LAPIC_LVT_THERMAL = 0x330,
	LAPIC_LVT_PERF = 0x340,
	LAPIC_LVT_LINT0 = 0x350,
	LAPIC_LVT_LINT1 = 0x360,
	LAPIC_LVT_ERROR = 0x370,
	LAPIC_TIMER_INITIAL = 0x380,
	LAPIC_TIMER_CURRENT = 0x390,
	LAPIC_TIMER_DIVIDE = 0x3e0,
};

#define LVT_NMI 0x400u
#define LVT_ACTIVE_LOW (1u << 13)
#define LVT_MASKED (1u << 16)
#define LVT_PERIODIC (1u << 17)
#define TIMER_DIVIDE_BY_1 0xbu

extern bool lapic_x2apic;
extern volatile u8 *lapic_mmio;

static __always_inline u32 lapic_msr(enum lapic_reg reg)
{
	return 0x800 + (u32)reg / 16;
}

static __always_inline u32 lapic_read(enum lapic_reg reg)
{
	if (lapic_x2apic)
		return (u32)rdmsr(lapic_msr(reg));
	return *(volatile u32 *)(lapic_mmio + reg);
}

static __always_inline void lapic_write(enum lapic_reg reg, u32 v)
{
	if (lapic_x2apic)
		wrmsr(lapic_msr(reg), v);
	else
		*(volatile u32 *)(lapic_mmio + reg) = v;
}

#endif
