/*
 * wait.c - wait queues and completions (wait.h).
 *
 * Invariant: an entry is on its queue's list from wait_enter until somebody takes the
 * whole list; `queued` is set to 0 by that one, and is the last access to the entry,
 * which lies on the waiter's stack. The waiter may have been awake, and may end then; the
 * thread that has its place is not to be woken (task.h, `life`). A waiter looks at its
 * condition after it is on the list, and who makes it true takes the list after that (full
 * barriers both): so one of the two sees the other.
 */
#include <anyctx/wait.h>
#include "kernel/task.h"

#define ALL_DONE 0x80000000u

void wait_enter(struct wait_queue_head *q, struct wait_entry *w)
{
	w->task = current_task();
	__atomic_store_n(&w->queued, 1, __ATOMIC_RELAXED);
	llist_add(&w->node, &q->waiters);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void wake_up_all(struct wait_queue_head *q)
{
	struct llist_node *n;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	preempt_disable(); /* one that gives up may wait for us to go on */
	n = llist_reverse_order(llist_del_all(&q->waiters));
	while (n) {
		struct wait_entry *w = container_of(n, struct wait_entry, node);
		struct task *t = w->task; /* its memory stays, if neither entry nor thread does */
		u32 life = READ_ONCE(t->life);

		n = n->next;
		__atomic_store_n(&w->queued, 0, __ATOMIC_RELEASE);
		wake_up_life(t, life);
	}
	preempt_enable();
}

/* Who gives up cannot take itself off alone: the others will come back. */
bool wait_sleep(struct wait_queue_head *q, struct wait_entry *w, s64 *ticks)
{
	while (__atomic_load_n(&w->queued, __ATOMIC_ACQUIRE)) {
		if (*ticks == WAIT_FOREVER)
			park();
		else if (*ticks > 0)
			*ticks = schedule_timeout(*ticks);
		else
			wake_up_all(q);
	}
	return *ticks > 0;
}

/* ---- completions ---- */

void init_completion(struct completion *c)
{
	*c = (struct completion){ 0 };
}

void complete(struct completion *c)
{
	__atomic_fetch_add(&c->done, 1, __ATOMIC_SEQ_CST);
	wake_up_all(&c->wait);
}

void complete_all(struct completion *c)
{
	__atomic_store_n(&c->done, ALL_DONE, __ATOMIC_SEQ_CST);
	wake_up_all(&c->wait);
}

static bool take_one(struct completion *c)
{
	u32 n = __atomic_load_n(&c->done, __ATOMIC_SEQ_CST);

	while (n && n < ALL_DONE)
		if (__atomic_compare_exchange_n(&c->done, &n, n - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
			return true;
	return n;
}

/* The condition takes one when it is true, so it is asked once in a row. */
static bool wait_for(struct completion *c, s64 ticks)
{
	struct wait_entry w;

	for (;;) {
		bool in_time;

		if (take_one(c))
			return true;
		wait_enter(&c->wait, &w);
		if (__atomic_load_n(&c->done, __ATOMIC_SEQ_CST))
			wake_up_all(&c->wait);
		in_time = wait_sleep(&c->wait, &w, &ticks);
		if (!in_time)
			return take_one(c);
	}
}

void wait_for_completion(struct completion *c)
{
	wait_for(c, WAIT_FOREVER);
}

bool wait_for_completion_timeout(struct completion *c, s64 ticks)
{
	return wait_for(c, ticks);
}
