/*
 * crash_thread.c - the bad ends that want threads (crash=), see crash.c: mutexes, and calls
 * that sleep where nobody may. Any context (crash_context.c), which is what they are about;
 * not in the hosted build.
 */
#include <anyctx/rtmutex.h>
#include <anyctx/wait.h>
#include <arch/cpu.h>
#include "kernel/crash.h"
#include "kernel/task.h"

static struct rt_mutex first, second;
static struct completion have_second;

static int second_then_first(void *unused)
{
	(void)unused;
	rt_mutex_lock(&second);
	complete(&have_second);
	rt_mutex_lock(&first);
	return 0;
}

/* Two threads, two mutexes, each wants what the other has. */
static void crash_circle(void)
{
	rt_mutex_lock(&first);
	kthread_run(second_then_first, NULL, "other");
	wait_for_completion(&have_second);
	rt_mutex_lock(&second);
}

static void crash_mutex(void)
{
	rt_mutex_lock(&first);
	rt_mutex_lock(&first);
}

static void crash_mutextry(void)
{
	if (rt_mutex_trylock(&first))
		rt_mutex_unlock(&first);
}

/* Not held by the thread that is here, or that this has interrupted. */
static void crash_mutexfree(void)
{
	rt_mutex_unlock(&first);
}

static int unlock_first(void *unused)
{
	(void)unused;
	rt_mutex_unlock(&first);
	return 0;
}

static void crash_unlock(void)
{
	rt_mutex_lock(&first);
	kthread_join(kthread_run(unlock_first, NULL, "other"));
}

static int end_with_interrupts_off(void *unused)
{
	(void)unused;
	arch_irq_disable();
	return 0;
}

static void crash_end(void)
{
	kthread_join(kthread_run(end_with_interrupts_off, NULL, "other"));
}

/* While it keeps the CPU no thread may sleep. */
static void crash_sleep(void)
{
	preempt_disable();
	park();
}

static void crash_timeout(void)
{
	schedule_timeout(1);
}

static void crash_yield(void)
{
	yield();
}

static const struct crash crashes[] = {
	{ "circle", crash_circle },       { "mutex", crash_mutex },     { "mutextry", crash_mutextry },
	{ "mutexfree", crash_mutexfree }, { "unlock", crash_unlock },   { "end", crash_end },
	{ "sleep", crash_sleep },         { "timeout", crash_timeout }, { "yield", crash_yield },
};

crash_fn_t crash_of_threads(const char *how)
{
	return crash_find(crashes, ARRAY_SIZE(crashes), how);
}
