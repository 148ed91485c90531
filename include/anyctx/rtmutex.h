/*
 * rtmutex.h - a lock that threads sleep for, and whose owner inherits their priority.
 *
 * While a thread waits, the owner runs with its priority, if that is higher; and if the
 * owner waits for another lock, so does that one's owner, and so on. The lock goes to the
 * waiter of the highest priority; of equals to the first. So who waits does so for the
 * sections that are under way, and not for threads of a priority between.
 *
 * Contexts. lock and unlock: threads, interrupts on, outside of preempt_disable if it is
 * held by another (checked then: a panic). trylock: threads. What only asks: any. Taking
 * it twice, a circle of waiters, and giving back what is another's, is a panic that says
 * so. Not in the hosted build.
 */
#ifndef ANYCTX_RTMUTEX_H
#define ANYCTX_RTMUTEX_H

#include <anyctx/lockdep.h>

struct rt_waiter;

/* All zero: free; to the checker of locks it is of its own class then. */
struct rt_mutex {
	u64 owner;                  /* struct task *, and bit 0: somebody waits */
	struct rt_waiter *waiters;  /* by priority */
	struct rt_mutex *next_held; /* of the owner's that somebody waits for */
	struct lock_site site;      /* nothing, but in a build that watches locks */
};

/* Free as well; all of one place of the source are of one class. */
#define RT_MUTEX_INIT { .site = LOCK_SITE_INIT }

void rt_mutex_lock(struct rt_mutex *m);
/* Never waits; true: taken. */
bool rt_mutex_trylock(struct rt_mutex *m);
void rt_mutex_unlock(struct rt_mutex *m);
bool rt_mutex_is_locked(const struct rt_mutex *m);

#endif
