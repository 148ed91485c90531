/*
 * rtmutex.c - locks with priority inheritance (rtmutex.h).
 *
 * Invariant: `owner` is 0, or the task that holds the lock, with bit 0 exactly while
 * `waiters` is not empty. Without waiters it changes by one compare-and-swap. All else
 * here (waiters, who waits for what, who holds what others wait for, boosts) changes
 * under one raw lock, pi_lock, with interrupts off: a chain of locks is then looked at
 * in peace. It is held for as many steps as there are waiters of one lock, locks held
 * by one thread, or links of a chain.
 *
 * A task's `boost` is the highest priority that waits for anything it holds, 0 if none
 * does. What it runs at is the higher of that and its own (task_prio).
 */
#include <anyctx/rtmutex.h>
#include <arch/cpu.h>
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/task.h"

#define HAS_WAITERS 1UL

struct rt_waiter {
	struct rt_waiter *next;
	struct task *task;
	struct rt_mutex *lock;
	u32 prio;    /* by which it is in the list */
	u32 granted; /* the lock is its own; the last access to it by another */
};

static u32 pi_lock;

static u64 pi_lock_take(void)
{
	u64 flags = arch_irq_save();

	while (__atomic_exchange_n(&pi_lock, 1, __ATOMIC_ACQUIRE))
		cpu_relax();
	return flags;
}

static void pi_lock_give(u64 flags)
{
	__atomic_store_n(&pi_lock, 0, __ATOMIC_RELEASE);
	arch_irq_restore(flags);
}

static struct task *owner_of(const struct rt_mutex *m)
{
	return (struct task *)(__atomic_load_n(&m->owner, __ATOMIC_ACQUIRE) & ~HAS_WAITERS);
}

static bool swap_owner(struct rt_mutex *m, u64 old, u64 new)
{
	return __atomic_compare_exchange_n(&m->owner, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/* ------------------------------------------------- under pi_lock: the lists */

static void waiter_add(struct rt_waiter *w)
{
	struct rt_waiter **at = &w->lock->waiters;

	w->prio = task_prio(w->task);
	while (*at && (*at)->prio >= w->prio)
		at = &(*at)->next;
	w->next = *at;
	*at = w;
}

static void waiter_remove(struct rt_waiter *w)
{
	struct rt_waiter **at = &w->lock->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
}

static void held_add(struct task *t, struct rt_mutex *m)
{
	m->next_held = t->held;
	t->held = m;
}

static void held_remove(struct task *t, struct rt_mutex *m)
{
	struct rt_mutex **at = &t->held;

	while (*at != m)
		at = &(*at)->next_held;
	*at = m->next_held;
}

static u32 boost_of(const struct task *t)
{
	u32 most = 0;

	for (const struct rt_mutex *m = t->held; m; m = m->next_held)
		if (m->waiters && m->waiters->prio > most)
			most = m->waiters->prio;
	return most;
}

/* t's waiters have changed: its boost, and so on along what it waits for. */
static void adjust_chain(struct task *t)
{
	while (t) {
		struct rt_waiter *w = t->blocked_on;
		u32 boost = boost_of(t);

		if (boost != t->boost) {
			WRITE_ONCE(t->boost, boost);
			sched_priority_changed(t);
		}
		if (!w || w->prio == task_prio(t))
			return;
		waiter_remove(w);
		waiter_add(w);
		t = owner_of(w->lock);
	}
}

static void check_no_circle(const struct rt_mutex *m, const struct task *me)
{
	for (const struct task *t = owner_of(m); t; t = t->blocked_on ? owner_of(t->blocked_on->lock) : NULL)
		if (t == me)
			panic("rt_mutex_lock(%p): thread %s would wait for itself", (const void *)m, me->name);
}

/* --------------------------------------------------------------- the calls */

/* Taken, or else its owner has to look for waiters from now on. */
static bool take_or_mark(struct rt_mutex *m, struct task *me)
{
	for (;;) {
		u64 o = __atomic_load_n(&m->owner, __ATOMIC_ACQUIRE);

		if (!o && swap_owner(m, 0, (u64)me))
			return true;
		if (o && swap_owner(m, o, o | HAS_WAITERS))
			return false;
	}
}

/* True: no need to wait. */
static bool begin_wait(struct rt_mutex *m, struct rt_waiter *w)
{
	struct task *me = w->task;
	u64 flags = pi_lock_take();
	bool taken = take_or_mark(m, me);

	if (!taken) {
		check_no_circle(m, me);
		if (!m->waiters)
			held_add(owner_of(m), m);
		/* Then the priority is read. Who sets it looks after that whether we wait, and
		 * comes for pi_lock: one of us sees the other. */
		WRITE_ONCE(me->blocked_on, w);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		waiter_add(w);
		adjust_chain(owner_of(m));
	}
	pi_lock_give(flags);
	return taken;
}

static void lock_slow(struct rt_mutex *m)
{
	struct rt_waiter w = { .task = current_task(), .lock = m };

	check_may_sleep("rt_mutex_lock");
	if (begin_wait(m, &w))
		return;
	while (!__atomic_load_n(&w.granted, __ATOMIC_ACQUIRE))
		park();
	wake_up_process(w.task); /* one that was for something else may have gone with ours */
}

void rt_mutex_lock(struct rt_mutex *m)
{
	lock_wait_sleeping(m, &m->site);
	check_in_thread("rt_mutex_lock");
	if (unlikely(!swap_owner(m, 0, (u64)current_task())))
		lock_slow(m);
	lock_taken(m, &m->site, LOCK_SLEPT);
}

bool rt_mutex_trylock(struct rt_mutex *m)
{
	check_in_thread("rt_mutex_trylock");
	if (!swap_owner(m, 0, (u64)current_task()))
		return false;
	lock_taken(m, &m->site, LOCK_SLEPT);
	return true;
}

/* To the first waiter; the boost goes with the waiters. */
static void unlock_slow(struct rt_mutex *m)
{
	struct task *me = current_task(), *next;
	u64 flags = pi_lock_take();
	struct rt_waiter *w = m->waiters;
	u32 life;

	if (owner_of(m) != me)
		panic("rt_mutex_unlock(%p) by thread %s: owner is %s", (void *)m, me->name,
		      owner_of(m) ? owner_of(m)->name : "nobody");
	held_remove(me, m);
	waiter_remove(w);
	next = w->task;
	life = READ_ONCE(next->life);
	next->blocked_on = NULL;
	if (m->waiters)
		held_add(next, m);
	__atomic_store_n(&m->owner, (u64)next | (m->waiters ? HAS_WAITERS : 0), __ATOMIC_RELEASE);
	adjust_chain(next);
	__atomic_store_n(&w->granted, 1, __ATOMIC_RELEASE);
	adjust_chain(me);
	wake_up_life(next, life); /* it may have seen that, and have ended */
	pi_lock_give(flags);
}

void rt_mutex_unlock(struct rt_mutex *m)
{
	check_in_thread("rt_mutex_unlock"); /* the owner may be who was interrupted */
	if (!lock_release(m))
		return;
	if (unlikely(!swap_owner(m, (u64)current_task(), 0)))
		unlock_slow(m);
}

bool rt_mutex_is_locked(const struct rt_mutex *m)
{
	return owner_of(m) != NULL;
}

/* Not in NMIs and debug exceptions, which may have interrupted the holder of pi_lock:
 * then who holds what t waits for learns of it with the next change. */
void rt_mutex_requeue(struct task *t)
{
	u64 flags;

	if (current_context() == CTX_NMI || current_context() == CTX_DEBUG || in_nmi())
		return;
	flags = pi_lock_take();
	adjust_chain(t);
	pi_lock_give(flags);
}
