/*
 * sched.c - which thread runs on this CPU (kthread.h, task.h).
 *
 * Invariant: struct rq, and what of a thread is "its CPU's", is touched by one CPU alone,
 * with interrupts off and never in an NMI. So there is no lock. A thread that another
 * CPU, or an NMI, wakes, and one that moves here, comes as a message: its `node` on the
 * list `wakes`, and an IPI if that was empty. Which events make a thread come:
 *
 *	PARKED -> RUNNABLE by compare-and-swap: the one who did it sends the node, once
 *	it was switched away from and is to be elsewhere: this CPU sends it there
 *
 * From its park until its message comes, a thread is not queued, whatever its state
 * says; so its node is on one list at most, and its registers are in place when another
 * CPU sees it. The commit of a switch is the load of RSP in switch.asm.
 *
 * A CPU's first thread, when it sleeps, is what runs if nothing else does: it waits for
 * interrupts inside its park. It never moves or ends.
 */
#include "kernel/sched.h"
#include <anyctx/smp.h>
#include <arch/irq.h>
#include <arch/machine.h>
#include <arch/switch.h>
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/smp.h"
#include "kernel/task.h"
#include "kernel/tick.h"
#include "mm/mm.h"

DEFINE_PER_CPU(struct rq, rq);
DEFINE_PER_CPU(struct llist_head, wakes);
static DEFINE_PER_CPU(struct task, first_task);
static DEFINE_PER_CPU(struct task *, task_now);

struct task *task_of_first(unsigned int cpu)
{
	return per_cpu_ptr(first_task, cpu);
}

struct task *current_task(void)
{
	return (struct task *)this_cpu_read64(task_now);
}

/* ------------------------------------------------------------- messages */

void sched_put(struct task *t, unsigned int cpu)
{
	WRITE_ONCE(t->cpu, cpu);
	if (llist_add(&t->node, per_cpu_ptr(wakes, cpu)))
		arch_send_ipi(cpu, IPI_RESCHED);
}

/* First on the list, then the look: a CPU that goes does it the other way round (cpu.c). */
void sched_send(struct task *t, unsigned int cpu)
{
	sched_put(t, cpu);
	if (unlikely(!cpu_online(cpu)))
		sched_take_over(cpu);
}

bool wake_up_life(struct task *t, u32 life)
{
	u64 was = __atomic_load_n(&t->state_and_life, __ATOMIC_SEQ_CST);
	u32 state;

	do {
		state = (u32)was;
		if (was >> 32 != life || state == TASK_TOKEN || state == TASK_DEAD)
			return false;
	} while (!__atomic_compare_exchange_n(&t->state_and_life, &was,
					      (u64)life << 32 | (state == TASK_PARKED ? TASK_RUNNABLE : TASK_TOKEN),
					      false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	if (state == TASK_PARKED)
		sched_send(t, READ_ONCE(t->cpu));
	return state == TASK_PARKED;
}

bool wake_up_process(struct task *t)
{
	return wake_up_life(t, READ_ONCE(t->life));
}

/* A CPU that is about to go is nobody's to go to, and keeps but who is bound to it. */
int sched_elsewhere(const struct task *t)
{
	s32 wanted = READ_ONCE(t->wanted);

	if ((u32)wanted == smp_processor_id() || READ_ONCE(t->pinned))
		return -1;
	if (wanted != CPU_ANY && cpu_active((u32)wanted))
		return wanted;
	return likely(cpu_active(smp_processor_id())) ? -1 : (int)least_busy_cpu();
}

static void ask_resched(void)
{
	this_cpu_write64(need_resched, 1);
}

/* The thread's park is over. Which of two comes first shows when one is taken. */
static void arrived(struct rq *q, struct task *t)
{
	int cpu;

	sleepers_remove(q, t);
	if (t == q->curr) { /* on its way into the park, or a CPU's first thread in it */
		t->parked = false;
		return;
	}
	cpu = sched_elsewhere(t); /* asked once: it may change */
	if (cpu >= 0) {
		sched_send(t, (unsigned int)cpu);
		return;
	}
	t->parked = false;
	rq_add(q, t, false);
	if (q->curr->parked || task_prio(t) > task_prio(q->curr))
		ask_resched();
}

static void take_messages(struct rq *q)
{
	struct llist_node *n = llist_reverse_order(llist_del_all(this_cpu_ptr(wakes)));

	while (n) {
		struct task *t = container_of(n, struct task, node);

		n = n->next; /* it may be sent on */
		arrived(q, t);
	}
}

/* ------------------------------------------------------------- switching */

/* The next to run; those that are to be elsewhere are sent there; but the one that still
 * runs only when it has been switched away from. */
static struct task *pick(struct rq *q)
{
	for (;;) {
		struct task *t = rq_take(q);
		int cpu = t ? sched_elsewhere(t) : -1;

		if (cpu < 0)
			return t ? t : q->first;
		if (t == q->curr) {
			q->leaving = t;
			continue;
		}
		q->sent++;
		sched_send(t, (unsigned int)cpu);
	}
}

void sched_switched(void)
{
	struct rq *q = this_cpu_ptr(rq);
	struct task *prev = q->prev, *leaving = q->leaving;

	q->leaving = NULL;
	if (leaving) {
		int cpu = sched_elsewhere(leaving);

		q->sent++;
		sched_send(leaving, cpu < 0 ? smp_processor_id() : (unsigned int)cpu);
	} else if (prev->dying) {
		kthread_gone(prev);
	}
}

u64 sched_switches(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(rq, cpu)->switches);
}

/* Behind the switch this may be another CPU than before: nothing is kept across it. */
static void switch_to(struct rq *q, struct task *prev, struct task *next)
{
	q->prev = prev;
	q->curr = next;
	q->switches++;
	next->slice = SCHED_SLICE;
	prev->group = memcg_switch(next->group);
	this_cpu_write64(task_now, next);
	lock_switch(prev->locks, next->locks);
	arch_switch(&prev->rsp, next->rsp);
	sched_switched();
}

/* Interrupts off, in a thread. in_front: the one that runs was not yet done. */
static void reschedule(bool in_front)
{
	struct rq *q = this_cpu_ptr(rq);
	struct task *prev = q->curr, *next;

	this_cpu_write64(need_resched, 0);
	take_messages(q);
	if (!prev->parked && sched_elsewhere(prev) < 0)
		rq_add(q, prev, in_front);
	else if (!prev->parked)
		q->leaving = prev;
	next = pick(q);
	if (next != prev)
		switch_to(q, prev, next);
}

void sched_preempt(void)
{
	struct rq *q = this_cpu_ptr(rq);

	if (!in_thread() || this_cpu_read64(preempt_count) || !mm_may_preempt())
		return;
	q->preemptions++;
	reschedule(q->curr->slice > 0);
}

void check_may_sleep(const char *call)
{
	const char *why = !in_thread() ? "an interrupt or exception" : this_cpu_read64(preempt_count) ?
			  "a thread that keeps its CPU" : arch_irqs_disabled() ? "a thread with interrupts off" : NULL;

	if (unlikely(why))
		panic("%s in %s", call, why);
}

void yield(void)
{
	check_may_sleep("yield");
	arch_irq_disable();
	reschedule(false);
	arch_irq_enable();
}

/* --------------------------------------------------------------- sleeping */

/* True: it has not been woken since the last time. */
static bool state_park(struct task *t)
{
	u32 was = TASK_RUNNABLE;

	if (__atomic_compare_exchange_n(&t->state, &was, TASK_PARKED, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		return true;
	__atomic_store_n(&t->state, TASK_RUNNABLE, __ATOMIC_SEQ_CST);
	return false;
}

void park_irqs_off(u64 ticks)
{
	struct task *t = current_task();

	if (!state_park(t))
		return;
	t->parked = true;
	if (ticks)
		sleepers_add(this_cpu_ptr(rq), t, tick_number(smp_processor_id()) + ticks);
	while (t->parked) {
		reschedule(false);
		if (!t->parked)
			break;
		arch_idle(); /* a first thread, as there is no other */
		arch_irq_disable();
	}
}

void park(void)
{
	check_may_sleep("park");
	arch_irq_disable();
	park_irqs_off(0);
	arch_irq_enable();
}

void cpu_idle(void)
{
	park_irqs_off(0);
	arch_irq_enable();
}

void cpu_wake(unsigned int cpu)
{
	wake_up_process(task_of_first(cpu));
}

void sched_end(void)
{
	struct task *t = current_task();

	__atomic_store_n(&t->state, TASK_DEAD, __ATOMIC_SEQ_CST);
	t->dying = true;
	t->parked = true;
	reschedule(false);
	panic("thread %s runs after its end", t->name);
}

/* ---------------------------------------------------------- by interrupts */

static void wake_sleepers(struct rq *q)
{
	u64 now = tick_number(smp_processor_id());

	for (struct task *t = sleepers_due(q, now); t; t = sleepers_due(q, now))
		wake_up_process(t);
}

void sched_tick(void)
{
	struct rq *q = this_cpu_ptr(rq);
	struct task *t = q->curr;

	if (!t)
		return; /* before there are threads */
	wake_sleepers(q);
	if (t->parked)
		return;
	if (sched_elsewhere(t) >= 0 || (--t->slice <= 0 && rq_highest(q) >= (int)task_prio(t)))
		ask_resched();
}

/* Somebody came, or something about a thread of this CPU has changed. */
void sched_ipi(void)
{
	struct rq *q = this_cpu_ptr(rq);

	take_messages(q);
	rq_sort(q);
	if (unlikely(!cpu_active(smp_processor_id())))
		sched_look(q);
	if (q->curr->parked ? q->levels != 0 : sched_elsewhere(q->curr) >= 0 || rq_highest(q) > (int)task_prio(q->curr))
		ask_resched();
}

/* ----------------------------------------------------- what others may set */

/* It may have moved since: then the CPU that it came to has seen the change. */
void sched_priority_changed(const struct task *t)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	arch_send_ipi(READ_ONCE(t->cpu), IPI_RESCHED);
}

void sched_set_priority(struct task *t, unsigned int prio)
{
	WRITE_ONCE(t->prio, prio < NR_PRIO ? prio : PRIO_HIGHEST);
	sched_priority_changed(t);
	if (READ_ONCE(t->blocked_on))
		rt_mutex_requeue(t);
}

/* The store, then the look; cpu_down: the mask, then a look at all threads. So one of the two
 * sees the other, and no thread is bound to a CPU that goes. */
bool sched_want_cpu(struct task *t, s32 cpu)
{
	s32 was = __atomic_exchange_n(&t->wanted, cpu, __ATOMIC_SEQ_CST);

	if (cpu == CPU_ANY || cpu == was || cpu_active((u32)cpu))
		return true;
	if (was != CPU_ANY && !cpu_active((u32)was))
		was = CPU_ANY; /* it was not seen there either */
	__atomic_compare_exchange_n(&t->wanted, &cpu, was, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return false;
}

int kthread_set_cpu(struct task *t, int cpu)
{
	if (t->first || t->per_cpu || cpu < CPU_ANY || (cpu >= 0 && !cpu_online((unsigned int)cpu)))
		return -EINVAL;
	if (!sched_want_cpu(t, cpu))
		return -EINVAL;
	if (t == current_task() && in_thread() && !arch_irqs_disabled() && !this_cpu_read64(preempt_count))
		yield();
	else
		sched_priority_changed(t);
	return 0;
}

void migrate_disable(void)
{
	struct task *t = current_task();

	if (in_thread())
		WRITE_ONCE(t->pinned, t->pinned + 1);
	barrier();
}

void migrate_enable(void)
{
	struct task *t = current_task();

	barrier();
	if (!in_thread())
		return;
	WRITE_ONCE(t->pinned, t->pinned - 1);
	if (!t->pinned && sched_elsewhere(t) >= 0)
		sched_priority_changed(t);
}

/* ------------------------------------------------------------------- boot */

static void first_init(unsigned int cpu)
{
	struct task *t = task_of_first(cpu);
	struct rq *q = per_cpu_ptr(rq, cpu);

	t->first = true;
	t->prio = PRIO_NORMAL;
	t->wanted = (s32)cpu;
	t->cpu = cpu;
	t->slice = SCHED_SLICE;
	t->name[0] = 'c', t->name[1] = 'p', t->name[2] = 'u';
	q->curr = q->first = t;
	*per_cpu_ptr(task_now, cpu) = t;
}

void sched_prepare(void)
{
	for (unsigned int cpu = 0; cpu < arch_nr_cpus_found(); cpu++)
		first_init(cpu);
	kthread_prepare();
}
