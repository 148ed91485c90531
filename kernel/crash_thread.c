/*
 * crash_thread.c - the bad ends that want threads (crash=), see crash.c. CPU 0, after
 * boot; not in the hosted build.
 */
#include <anyctx/rtmutex.h>
#include <anyctx/wait.h>
#include <arch/cpu.h>
#include "kernel/crash.h"
#include "kernel/task.h"
#include "lib/string.h"

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

static const struct {
	const char *name;
	void (*run)(void);
} crashes[] = {
	{ "circle", crash_circle }, { "unlock", crash_unlock }, { "end", crash_end }, { "sleep", crash_sleep },
};

bool crash_in_thread(const char *how)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(crashes); i++)
		if (!strcmp(how, crashes[i].name)) {
			crashes[i].run();
			return true;
		}
	return false;
}
