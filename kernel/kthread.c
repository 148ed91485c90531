/*
 * kthread.c - the pool of threads: made, started, ended, joined (kthread.h).
 *
 * Invariant: a thread is its maker's from the compare-and-swap of `used` from 0 to 1
 * until it is woken; then its CPU's (sched.c); and its joiner's from the exchange that
 * puts TASK_GONE into `joiner`, which its CPU does after the last use of its stack,
 * until the joiner stores 0 to `used`. Stacks are mapped at boot, each above a guard
 * page that never is, and belong to their slot for ever.
 */
#include <anyctx/config.h>
#include <anyctx/lockdep.h>
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/machine.h>
#include <arch/switch.h>
#include "kernel/cmdline.h"
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/task.h"

#define MAX_THREADS 64

static s64 threads = 16;
KPARAM_INT(threads, "threads", 0, MAX_THREADS, "threads that there may be at once, besides one for each CPU");

/* And under CONFIG_RT one for each CPU (kernel/rt/lazy.c). */
static struct task pool[MAX_THREADS + (CONFIG_RT ? NR_CPUS : 0)];
static unsigned int nr_threads;

struct task *kthread_slot(unsigned int i)
{
	return i < nr_threads ? &pool[i] : NULL;
}

bool kthread_alive(const struct task *t)
{
	return READ_ONCE(t->used) && __atomic_load_n(&t->joiner, __ATOMIC_SEQ_CST) != TASK_GONE;
}

static struct task *take_slot(void)
{
	for (unsigned int i = 0; i < nr_threads; i++) {
		u32 free = 0;

		if (__atomic_compare_exchange_n(&pool[i].used, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
			return &pool[i];
	}
	return NULL;
}

/* The first function on a new thread's stack; interrupts off, as after any switch. */
static void __noreturn run_thread(void)
{
	struct task *t = current_task();

	sched_switched();
	arch_irq_enable();
	t->result = t->fn(t->arg);
	lock_ends("a thread", 0);
	if (!in_thread() || arch_irqs_disabled() || this_cpu_read64(preempt_count) || t->pinned)
		panic("thread %s ends with interrupts off, or holding its CPU", t->name);
	arch_irq_disable();
	sched_end();
}

static void set_name(struct task *t, const char *name)
{
	unsigned int i = 0;

	for (; name[i] && i + 1 < KTHREAD_NAME; i++)
		t->name[i] = name[i];
	t->name[i] = 0;
}

struct task *kthread_create(int (*fn)(void *arg), void *arg, const char *name)
{
	struct task *t;

	check_in_thread("kthread_create");
	t = take_slot();
	if (!t)
		return NULL;
	t->fn = fn;
	t->arg = arg;
	set_name(t, name);
	t->prio = PRIO_NORMAL;
	t->wanted = CPU_ANY;
	t->stop = t->pinned = t->boost = 0;
	t->long_work = 0;
	t->dying = t->sleeping = t->per_cpu = false;
	t->joiner = NULL;
	t->group = NULL;
	t->rsp = arch_new_stack(t->stack_top, run_thread);
	t->parked = true;
	WRITE_ONCE(t->cpu, least_busy_cpu());
	WRITE_ONCE(t->life, t->life + 1); /* DEAD until then: late wakers of the one before do nothing */
	__atomic_store_n(&t->state, TASK_PARKED, __ATOMIC_SEQ_CST);
	return t;
}

struct task *kthread_run(int (*fn)(void *arg), void *arg, const char *name)
{
	struct task *t = kthread_create(fn, arg, name);

	if (t)
		wake_up_process(t);
	return t;
}

struct task *kthread_create_on_cpu(int (*fn)(void *arg), void *arg, unsigned int cpu, const char *name)
{
	struct task *t = cpu_online(cpu) ? kthread_create(fn, arg, name) : NULL;

	if (!t)
		return NULL;
	if (!sched_want_cpu(t, (s32)cpu)) { /* the CPU is about to go */
		__atomic_store_n(&t->used, 0, __ATOMIC_RELEASE);
		return NULL;
	}
	t->cpu = cpu;
	return t;
}

void kthread_set_per_cpu(struct task *t)
{
	BUG_ON(READ_ONCE(t->wanted) == CPU_ANY);
	WRITE_ONCE(t->per_cpu, true);
}

struct task *kthread_run_on_cpu(int (*fn)(void *arg), void *arg, unsigned int cpu, const char *name)
{
	struct task *t = kthread_create_on_cpu(fn, arg, cpu, name);

	if (t)
		wake_up_process(t);
	return t;
}

/* Its CPU has switched away from it for the last time; the joiner may take it at once. */
void kthread_gone(struct task *t)
{
	struct task *joiner = __atomic_load_n(&t->joiner, __ATOMIC_SEQ_CST);
	u32 life;

	do
		life = joiner ? READ_ONCE(joiner->life) : 0;
	while (!__atomic_compare_exchange_n(&t->joiner, &joiner, TASK_GONE, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	if (joiner)
		wake_up_life(joiner, life);
}

int kthread_join(struct task *t)
{
	struct task *none = NULL;
	int result;

	check_may_sleep("kthread_join");
	BUG_ON(t == current_task() || t->first);
	if (!__atomic_compare_exchange_n(&t->joiner, &none, current_task(), false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		BUG_ON(none != TASK_GONE);
	while (__atomic_load_n(&t->joiner, __ATOMIC_SEQ_CST) != TASK_GONE)
		park();
	result = t->result;
	__atomic_store_n(&t->used, 0, __ATOMIC_RELEASE);
	return result;
}

int kthread_stop(struct task *t)
{
	__atomic_store_n(&t->stop, 1, __ATOMIC_SEQ_CST);
	wake_up_process(t);
	return kthread_join(t);
}

void call_in_thread(int (*fn)(void *arg), void *arg)
{
	struct task *t = kthread_run(fn, arg, "called");

	if (t)
		kthread_join(t);
	else
		fn(arg);
}

bool kthread_should_stop(void)
{
	return __atomic_load_n(&current_task()->stop, __ATOMIC_SEQ_CST);
}

const char *task_name(const struct task *t)
{
	return t->name;
}

unsigned int task_cpu(const struct task *t)
{
	return READ_ONCE(t->cpu);
}

unsigned int task_priority(const struct task *t)
{
	return READ_ONCE(t->prio);
}

void kthread_prepare(void)
{
	nr_threads = (unsigned int)threads + (CONFIG_RT ? arch_nr_cpus_found() : 0);
	for (unsigned int i = 0; i < nr_threads; i++)
		pool[i].stack_top = (u64)arch_stack_alloc();
}
