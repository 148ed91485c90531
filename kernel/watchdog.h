/*
 * watchdog.h - finds CPUs that have stopped taking timer interrupts, or NMIs.
 */
#ifndef KERNEL_WATCHDOG_H
#define KERNEL_WATCHDOG_H

#include <anyctx/percpu.h>
#include <arch/cpu.h>

/* Choose the source of NMIs and start. CPU 0, ticks running; false: bad
 * nmi_source= or watchdog=, which it has told. */
bool watchdog_init(void);
/*
 * true: no more samples or checks, its NMIs stop (not those that others ask for),
 * and the samples' memory is given back when it returns. Nests; false undoes
 * one. CPU 0, thread context.
 */
void watchdog_pause(bool pause);
bool watchdog_paused(void);
/* A CPU that is offline: its samples are given back, and it begins anew. CPU 0, thread. */
void watchdog_forget(unsigned int cpu);
/* In every NMI; and in every timer interrupt. */
void watchdog_nmi(struct regs *r);
void watchdog_tick(void);

struct watchdog_counts {
	u64 samples, failed; /* records taken; allocations that failed */
	u64 lockups;         /* reported */
	u64 silent;          /* reported of the next CPU */
};
DECLARE_PER_CPU(struct watchdog_counts, watchdog_counts);
/* The last CPU reported, -1: none. */
extern int watchdog_last_lockup, watchdog_last_silent;

/* The period in ms (0: off), that of silent CPUs, and whether a lockup is a panic; for tests. */
extern s64 watchdog_ms, watchdog_silent_ms, lockup_panic;

#endif
