/*
 * devices.h - what the files of the devices part share among themselves: local
 * and I/O APICs, the legacy timer and interrupt controller, HPET, starting CPUs.
 * Everything is set up by CPU 0 while booting.
 */
#ifndef X86_DEVICES_H
#define X86_DEVICES_H

#include <arch/irq.h>
#include <arch/machine.h>
#include "acpi.h"
#include "x86.h"

/* ---- machine.c ---- */
extern struct acpi machine; /* constant after arch_machine_init */
/* May [pa, pa + size) be device registers: addressable, and not RAM? Tables lie. */
bool machine_device_at(u64 pa, u64 size);

/* ---- nodes.c ---- */
/* Set the node of each of *n ranges (MAX_MEM_RANGES at most), cut at the borders;
 * returns how many stayed whole for want of a slot. */
unsigned int ranges_set_nodes(struct mem_range *r, unsigned int *n, const struct acpi *a);

/* ---- lapic.c ---- */
void lapic_find(void);                   /* mode and registers; early_alloc */
void lapic_check_base(u64 from_tables);  /* says so if the tables differ */
u32 lapic_id(void);                      /* of this CPU */
u32 lapic_max_id(void);                  /* that can be sent to */
void lapic_cpu_init(unsigned int cpu);   /* each CPU for itself, interrupts off */
#define ICR_FIXED 0x4000u
#define ICR_NMI 0x4400u
#define ICR_INIT 0x4500u
#define ICR_STARTUP 0x4600u
void lapic_send(u32 apic_id, u32 command); /* any context */
/*
 * The destination of 8 bits with which a device reaches all our CPUs; false: there is
 * none. An xAPIC takes 0xff for everyone, ours or not: a CPU that this kernel has not
 * started would take the interrupt by the firmware's leave, so all must be ours. An
 * x2APIC knows no such value, but a logical destination has a bit for each of the
 * first eight.
 */
bool lapic_all_cpus(u8 *dest, bool *logical);
/* LINT0 of this CPU as NMI, or back to what the tables say. */
void lapic_lint0_nmi(bool on);
/* The performance counter's interrupt of this CPU as NMI, or masked; false: none. */
bool lapic_perf_nmi(bool on);

/* ---- lapic_timer.c ---- */
void lapic_timer_cpu_init(void);
void lapic_timer_set_clock(u64 hz);
u64 lapic_timer_clock(void);
/* Let it count down from the highest value, without interrupts; and its count. */
void lapic_timer_count_begin(void);
u32 lapic_timer_count(void);

/* ---- ioapic.c ---- */
void ioapic_find(void); /* early_alloc */
void ioapic_init(void); /* all entries masked */
/* An NMI to all CPUs at each edge of this input; false: no such input, or no way. */
bool ioapic_nmi_on(u32 gsi, bool active_low);
void ioapic_mask(u32 gsi);

/* ---- pic.c: the two 8259 ---- */
void pic_init(void); /* out of the way, masked */
bool pic_present(void);
void pic_timer_unmask(bool on);
void pic_timer_ack(void); /* any context of CPU 0 */

/* ---- pit.c: the 8254 ---- */
#define PIT_HZ 1193182u
void pit_init(void); /* is there one; and stops it */
bool pit_present(void);
void pit_start(unsigned int hz); /* channel 0, as near as it can */
void pit_stop(void);
/* Channel 2 as a clock: counts up from begin; good until it has run over. */
void pit_clock_begin(void);
u64 pit_clock_read(void);
bool pit_clock_good(void);

/* ---- hpet.c ---- */
void hpet_find(void); /* early_alloc */
void hpet_init(void); /* all timers off, counter running */
u64 hpet_hz(void);    /* 0: there is none */
u64 hpet_read(void);
/* Interrupts from one of its timers to the I/O APIC, edges; -1: cannot. The input. */
int hpet_start(unsigned int hz);
void hpet_stop(void);

/* ---- perfctr.c ---- */
bool perfctr_present(void);
void perfctr_set_hz(unsigned int hz); /* for those that are switched on after it */
void perfctr_cpu(bool on);            /* this CPU's */
void perfctr_ack(void);               /* in NMIs: wind it up again if it has run over */

/* ---- nmi.c ---- */
/* In every NMI of every CPU: what the source that is on needs to go on. */
void nmi_ack(void);

/* ---- time.c ---- */
void time_calibrate(void);

/* ---- smp.c ---- */
void smp_prepare(void); /* stacks; early_alloc */
/* Do all CPUs of the machine run this kernel? Only then may a broadcast go out. */
bool smp_all_ours(void);

#endif
