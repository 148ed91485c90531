/*
 * crash_lockup.c - a CPU locked up on request (lockup=), to show that the watchdog tells it.
 * CPU 0, after boot.
 */
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/cmdline.h"
#include "kernel/crash.h"
#include "kernel/printk.h"
#include "kernel/run_in.h"
#include "kernel/watchdog.h"
#include "lib/string.h"

static s64 lockup = -1;
KPARAM_INT(lockup, "lockup", -1, NR_CPUS - 1, "this CPU spins with interrupts off; -1: none");
static const char *lockup_in = "irqoff";
KPARAM_STR(lockup_in, "lockup_in", "where: irqoff, irq, nmi, debug; held: in an NMI before its handler");

static __noinline void spin_with_interrupts_off(void *unused)
{
	(void)unused;
	arch_irq_disable();
	for (;;)
		cpu_relax();
}

static void hold_nmi(void *unused)
{
	static const u64 always = 1;

	(void)unused;
	arch_nmi_hold(&always);
}

/* What is in an NMI takes no other, so that is told as silence. */
static void lock_up(unsigned int cpu, enum context place, bool held)
{
	bool deaf = held || place == CTX_NMI;
	u64 end = arch_ns() + (u64)(watchdog_ms * 10 + watchdog_silent_ms * 2 + 10000) * 1000000;
	bool told = false;

	printk("lockup: CPU %u will spin with interrupts off\n", cpu);
	run_in_begin(place, cpu, held ? hold_nmi : spin_with_interrupts_off, NULL);
	while (arch_ns() < end && !told) {
		told = deaf ? READ_ONCE(watchdog_last_silent) >= 0 : READ_ONCE(watchdog_last_lockup) >= 0;
		cpu_relax();
	}
	printk_flush();
	printk("lockup: %s\n", told ? "reported; the CPU is lost" : "error: the watchdog has not noticed");
}

bool lockup_if_asked(void)
{
	bool held = !strcmp(lockup_in, "held");
	enum context place = CTX_IRQS_OFF;

	if (lockup < 0)
		return true;
	if (!cpu_online((unsigned int)lockup))
		printk("error: lockup=%ld, but there are CPUs 0 to %u only\n", lockup, num_possible_cpus() - 1);
	else if (!held && !place_of_name(lockup_in, &place))
		printk("error: lockup_in=%s is none of those that the list of arguments names\n", lockup_in);
	else
		lock_up((unsigned int)lockup, place, held);
	return false;
}
