/*
 * crash.c - bad ends on request (crash=), to show that each is told apart: by the panic
 * report, the exit status. CPU 0, after boot; the ends themselves in any context
 * (crash_context.c), where nothing else is said.
 */
#include "kernel/crash.h"
#include <anyctx/cpu.h>
#include <anyctx/mempool.h>
#include <anyctx/rcupdate.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <anyctx/spinlock.h>
#include "kernel/cmdline.h"
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/sched.h"
#include "lib/string.h"

static const char *crash;
KPARAM_STR(crash, "crash",
	   "end badly: panic, everywhere, stack, threadstack, deadlock, unheld, triple, hang, badfree, nocache, rcu, rcuwait, "
	   "rcubarrier, rcubarrierwait, rcuoffline, offline, callwait, cpuslock, cacheend, shrink, freebarrier, "
	   "pool, poolsize, poolend; wild, null, readonly, execute, division, opcode, "
	   "protection, breakpoint, debugtrap, overflow; circle, mutex, mutextry, mutexfree, unlock, end, sleep, "
	   "timeout, yield");

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

/* All CPUs at once, when the last has come: one may report, and only one. CPU 0's thread. */
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

static void crash_unheld(void)
{
	static spinlock_t lock = SPINLOCK_INIT;

	spin_unlock(&lock);
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
	arch_irq_disable();
	for (;;)
		cpu_relax();
}

/* Reported so often that the rest is only counted; or a panic, with panic_on_bad_free=1. */
static void crash_badfree(void)
{
	bool nolock = current_context() == CTX_NMI || current_context() == CTX_DEBUG;

	for (unsigned int i = 0; i < 1000; i++)
		(nolock ? kfree_nolock : kfree)((void *)0x1000);
}

static void crash_nocache(void)
{
	kmem_cache_create("no-cache", 0, 0, SLAB_PANIC, NULL);
}

/* Who waits for all readers, and is one; or may be the reader that it waits for. */
static void crash_rcu(void)
{
	rcu_read_lock();
	synchronize_rcu();
}

static void crash_rcuwait(void)
{
	synchronize_rcu();
}

static void crash_rcubarrier(void)
{
	rcu_read_lock();
	rcu_barrier();
}

static void crash_rcubarrierwait(void)
{
	rcu_barrier();
}

static void crash_rcuoffline(void)
{
	rcu_read_lock();
	cpu_down(num_possible_cpus() - 1);
}

/* Calls that wait for other CPUs, which may wait for this one. */
static void crash_offline(void)
{
	cpu_down(num_possible_cpus() - 1);
}

static void nothing(void *unused)
{
	(void)unused;
}

static void crash_callwait(void)
{
	smp_call_function(nothing, NULL, true);
}

static void crash_cpuslock(void)
{
	cpus_read_lock();
	cpus_read_unlock();
}

static void crash_cacheend(void)
{
	kmem_cache_destroy(NULL);
}

static void crash_shrink(void)
{
	kmem_cache_shrink(NULL);
}

static void crash_freebarrier(void)
{
	defer_free_barrier();
}

static void crash_pool(void)
{
	mempool_create_kmalloc_pool(1, 64);
}

static void crash_poolsize(void)
{
	mempool_resize(NULL, 1);
}

static void crash_poolend(void)
{
	mempool_destroy(NULL);
}

static const struct crash crashes[] = {
	{ "panic", crash_panic },           { "everywhere", crash_everywhere },   { "stack", crash_stack_start },
	{ "deadlock", crash_deadlock },     { "unheld", crash_unheld },           { "triple", crash_triple },
	{ "hang", crash_hang },             { "badfree", crash_badfree },         { "nocache", crash_nocache },
	{ "threadstack", crash_threadstack }, { "rcu", crash_rcu },               { "rcuwait", crash_rcuwait },
	{ "rcubarrier", crash_rcubarrier }, { "rcubarrierwait", crash_rcubarrierwait },
	{ "rcuoffline", crash_rcuoffline }, { "offline", crash_offline },         { "callwait", crash_callwait },
	{ "cpuslock", crash_cpuslock },     { "cacheend", crash_cacheend },       { "shrink", crash_shrink },
	{ "freebarrier", crash_freebarrier }, { "pool", crash_pool },             { "poolsize", crash_poolsize },
	{ "poolend", crash_poolend },
};

crash_fn_t crash_find(const struct crash *list, unsigned int n, const char *how)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp(how, list[i].name))
			return list[i].run;
	return NULL;
}

static void crash_as_asked(void)
{
	crash_fn_t run = crash_find(crashes, ARRAY_SIZE(crashes), crash);

	if (!run)
		run = crash_exception(crash);
	if (!run)
		run = crash_of_threads(crash);
	if (run)
		crash_in_context(run);
	else
		printk("error: crash=%s is none of those that the list of arguments names\n", crash);
}

bool crash_if_asked(void)
{
	if (!crash)
		return lockup_if_asked();
	crash_as_asked();
	return false;
}
