/*
 * runqueue.c - a CPU's threads that could run: a queue for each priority (task.h).
 *
 * Invariant: a bit of `levels` is set exactly if that queue has a thread; a queued
 * thread's `level` is its queue, whatever its priority has become since. This CPU,
 * interrupts off.
 */
#include "kernel/task.h"

void rq_add(struct rq *q, struct task *t, bool in_front)
{
	u32 l = t->level = task_prio(t);
	bool empty = !q->head[l];

	t->next = in_front ? q->head[l] : NULL;
	if (in_front || empty)
		q->head[l] = t;
	else
		q->tail[l]->next = t;
	if (!in_front || empty)
		q->tail[l] = t;
	q->levels |= 1u << l;
}

static struct task *take_first(struct rq *q, unsigned int l)
{
	struct task *t = q->head[l];

	q->head[l] = t->next;
	if (!q->head[l])
		q->levels &= ~(1u << l);
	return t;
}

int rq_highest(const struct rq *q)
{
	return q->levels ? 31 - __builtin_clz(q->levels) : -1;
}

struct task *rq_take(struct rq *q)
{
	return q->levels ? take_first(q, (unsigned int)rq_highest(q)) : NULL;
}

/* Each queue once round: those that stay keep their order. */
void rq_sort(struct rq *q)
{
	struct task *all = NULL, **end = &all;

	for (struct task *t = rq_take(q); t; t = rq_take(q)) {
		*end = t;
		end = &t->next;
	}
	*end = NULL;
	while (all) {
		struct task *t = all;

		all = t->next;
		rq_add(q, t, false);
	}
}
