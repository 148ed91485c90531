/*
 * sleep.c - threads that sleep for a time: a list of each CPU, the next to wake first.
 *
 * Invariant: a thread is on the list of its CPU exactly while `sleeping`, and then it is
 * parked, or on its way into it. Who is woken before its time is taken off when the
 * message comes, before it can go elsewhere; and all are taken off while a CPU that goes is
 * still online, as nobody else takes its messages until then. This CPU, interrupts off; but
 * for the calls of kthread.h at the end.
 */
#include <arch/cpu.h>
#include "kernel/task.h"
#include "kernel/tick.h"

void sleepers_add(struct rq *q, struct task *t, u64 tick)
{
	struct task **at = &q->sleepers;

	t->wake_at = tick;
	while (*at && (*at)->wake_at <= tick)
		at = &(*at)->next_sleeper;
	t->next_sleeper = *at;
	*at = t;
	t->sleeping = true;
}

void sleepers_remove(struct rq *q, struct task *t)
{
	struct task **at = &q->sleepers;

	if (!t->sleeping)
		return;
	while (*at != t)
		at = &(*at)->next_sleeper;
	*at = t->next_sleeper;
	t->sleeping = false;
}

struct task *sleepers_due(struct rq *q, u64 tick)
{
	struct task *t = q->sleepers;

	if (!t || t->wake_at > tick)
		return NULL;
	q->sleepers = t->next_sleeper;
	t->sleeping = false;
	return t;
}

/* What is left it learns when it runs, on another CPU: by the ticks of CPU 0, which stays.
 * One more, as both CPUs' may have been nearly over. */
void sleepers_leave(struct rq *q)
{
	u64 here = tick_number(smp_processor_id()), there = tick_number(0);
	struct task *t = q->sleepers, **at = &q->sleepers;

	while (t) {
		struct task *next = t->next_sleeper;

		if (t->per_cpu) {
			*at = t;
			at = &t->next_sleeper;
		} else {
			t->sleeping = false;
			t->wake_at = there + (t->wake_at > here ? t->wake_at - here : 0) + 1;
			t->tick_cpu = 0;
			__atomic_store_n(&t->cpu, least_busy_cpu(), __ATOMIC_SEQ_CST);
			wake_up_process(t);
		}
		t = next;
	}
	*at = NULL;
}

/* What is left is counted by the tick of the CPU that it slept on. */
s64 schedule_timeout(s64 ticks)
{
	struct task *t = current_task();
	s64 left;

	if (ticks <= 0)
		return 0;
	check_may_sleep("schedule_timeout");
	arch_irq_disable();
	t->tick_cpu = smp_processor_id();
	t->wake_at = tick_number(t->tick_cpu) + (u64)ticks;
	park_irqs_off((u64)ticks);
	left = (s64)(t->wake_at - tick_number(t->tick_cpu));
	arch_irq_enable();
	if (left > ticks)
		left = ticks;
	return left > 0 ? left : 0;
}

/* One more, as the first may be nearly over. */
void sleep_ticks(u64 ticks)
{
	s64 left = (s64)ticks + 1;

	while (left > 0)
		left = schedule_timeout(left);
}
