/*
 * wait.h - threads that wait for a condition, and completions.
 *
 * wake_up_all and complete: any context, any CPU, never waiting: the waiters are on a
 * lock-free list, and who wakes takes all of it. Waiting: threads, interrupts on,
 * outside of preempt_disable. All zero is an empty queue and a completion not done.
 */
#ifndef ANYCTX_WAIT_H
#define ANYCTX_WAIT_H

#include <anyctx/kthread.h>
#include <anyctx/llist.h>

struct wait_queue_head {
	struct llist_head waiters;
};

/* A waiter, on its own stack; `queued` goes to 0 when it has been taken off. */
struct wait_entry {
	struct llist_node node;
	struct task *task;
	u32 queued;
};

/* To be called by wait_event only: onto the queue; and sleep until taken off. */
void wait_enter(struct wait_queue_head *q, struct wait_entry *w);
/* False: the ticks are over, and it has been taken off. */
bool wait_sleep(struct wait_queue_head *q, struct wait_entry *w, s64 *ticks);
/* All that wait look at their conditions. What was written before is seen by them. */
void wake_up_all(struct wait_queue_head *q);

#define WAIT_FOREVER ((s64)(~0UL >> 1))

/* Until the condition, an expression, holds; ticks at most: is it true at the end? */
#define wait_event_timeout(q, condition, max_ticks) ({ \
	struct wait_entry __w; \
	s64 __left = (max_ticks); \
	bool __ok; \
	while (!(__ok = (condition))) { \
		wait_enter(&(q), &__w); \
		if (condition) \
			wake_up_all(&(q)); \
		if (!wait_sleep(&(q), &__w, &__left)) { \
			__ok = (condition); \
			break; \
		} \
	} \
	__ok; })
#define wait_event(q, condition) ((void)wait_event_timeout(q, condition, WAIT_FOREVER))

/* complete() lets one wait_for_completion return, complete_all() all from now on. */
struct completion {
	u32 done;
	struct wait_queue_head wait;
};

void init_completion(struct completion *c);
void complete(struct completion *c);
void complete_all(struct completion *c);
void wait_for_completion(struct completion *c);
/* False: so many ticks went by without. */
bool wait_for_completion_timeout(struct completion *c, s64 ticks);

#endif
