/*
 * crash.c - bad ends on request (crash=, lockup=), to show that each is told
 * apart: by the watchdog, the panic report, the exit status. CPU 0, after boot.
 */
#include "kernel/crash.h"
#include <anyctx/cpu.h>
#include <anyctx/rcupdate.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <anyctx/spinlock.h>
#include <arch/time.h>
#include "kernel/cmdline.h"
#include "kernel/hooks.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/sched.h"
#include "kernel/watchdog.h"
#include "lib/string.h"

static s64 lockup = -1;
KPARAM_INT(lockup, "lockup", -1, NR_CPUS - 1, "this CPU spins with interrupts off; -1: none");
static const char *crash;
KPARAM_STR(crash, "crash", "end badly: panic, everywhere, wild, stack, threadstack, deadlock, triple, hang, badfree, nocache, rcu, rcubarrier, rcuoffline, circle, unlock, end, sleep");

static void crash_panic(void)
{
	panic("as asked for by crash=panic");
}

static void panic_here(void *arrived)
{
	__atomic_fetch_add((unsigned int *)arrived, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n((unsigned int *)arrived, __ATOMIC_ACQUIRE) < num_online_cpus())
		cpu_relax();
	panic("as asked for by crash=everywhere");
}

/* All CPUs at once, when the last has come: one may report, and only one. */
static void crash_everywhere(void)
{
	static unsigned int arrived;

	on_each_cpu_thread(panic_here, &arrived);
}

static void crash_deadlock(void)
{
	static spinlock_t lock = SPINLOCK_INIT;

	spin_lock(&lock);
	spin_lock(&lock);
}

static void crash_wild(void)
{
	*(volatile u64 *)0xffffa00000001000UL = 1;
}

static __noinline u64 crash_stack(u64 n)
{
	volatile u64 waste[64];

	waste[n % 64] = n;
	return n == ~0UL ? 0 : crash_stack(n + 1) + waste[n % 64];
}

static void crash_stack_start(void)
{
	crash_stack(0);
}

static int crash_stack_thread(void *unused)
{
	(void)unused;
	return (int)crash_stack(0);
}

static void crash_threadstack(void)
{
	call_in_thread(crash_stack_thread, NULL);
}

/* No interrupt table: the breakpoint faults, and so does each fault after it. */
static void crash_triple(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __packed none = { 0, 0 };

	printk_flush();
	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

static void crash_hang(void)
{
	watchdog_pause(true);
	arch_irq_disable();
	for (;;)
		cpu_relax();
}

/* Reported so often that the rest is only counted; or a panic, with panic_on_bad_free=1. */
static void crash_badfree(void)
{
	for (unsigned int i = 0; i < 1000; i++)
		kfree((void *)0x1000);
}

static void crash_nocache(void)
{
	kmem_cache_create("no-cache", 0, 0, SLAB_PANIC, NULL);
}

/* Who waits for all readers, and is one. */
static void crash_rcu(void)
{
	rcu_read_lock();
	synchronize_rcu();
}

static void crash_rcubarrier(void)
{
	rcu_read_lock();
	rcu_barrier();
}

static void crash_rcuoffline(void)
{
	rcu_read_lock();
	cpu_down(num_possible_cpus() - 1);
}

static const struct {
	const char *name;
	void (*run)(void);
} crashes[] = {
	{ "panic", crash_panic },       { "everywhere", crash_everywhere }, { "wild", crash_wild },
	{ "stack", crash_stack_start }, { "deadlock", crash_deadlock },     { "triple", crash_triple },
	{ "hang", crash_hang },         { "badfree", crash_badfree },       { "nocache", crash_nocache },
	{ "threadstack", crash_threadstack },                               { "rcu", crash_rcu },
	{ "rcubarrier", crash_rcubarrier },                                 { "rcuoffline", crash_rcuoffline },
};

static bool crash_as_asked(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(crashes); i++)
		if (!strcmp(crash, crashes[i].name)) {
			crash_in_context(crashes[i].run);
			return false;
		}
	if (crash_in_thread(crash))
		return false;
	printk("error: crash=%s is none of those that the list of arguments names\n", crash);
	return false;
}

static __noinline void spin_with_interrupts_off(void *unused)
{
	(void)unused;
	arch_irq_disable();
	for (;;)
		cpu_relax();
}

static bool lock_up(void)
{
	u64 end;

	if (lockup >= 0 && !cpu_online((unsigned int)lockup)) {
		printk("error: lockup=%ld, but there are CPUs 0 to %u only\n", lockup,
		       num_possible_cpus() - 1);
		return false;
	}
	printk("lockup: CPU %ld will spin with interrupts off\n", lockup);
	if (lockup == 0)
		spin_with_interrupts_off(NULL);
	cpu_thread_run((unsigned int)lockup, spin_with_interrupts_off, NULL);
	end = arch_ns() + (u64)(watchdog_ms * 10 + 10000) * 1000000;
	while (arch_ns() < end && per_cpu_ptr(watchdog_counts, lockup)->lockups == 0)
		cpu_relax();
	printk_flush();
	printk("lockup: %s\n", per_cpu_ptr(watchdog_counts, lockup)->lockups ?
	       "reported; the CPU is lost" : "error: the watchdog has not noticed");
	return false;
}

bool crash_if_asked(void)
{
	if (crash)
		return crash_as_asked();
	return lockup < 0 || lock_up();
}
