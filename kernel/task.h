/*
 * task.h - a thread, and a CPU's threads that could run: for sched.c, runqueue.c,
 * kthread.c, sleep.c and the tests.
 *
 * docs/design-threads.md has the invariants. In short: what is marked "its CPU" is read
 * and written by the CPU that the thread is on, with interrupts off, and by nobody else;
 * other CPUs send it messages, by the lock-free list `wakes`.
 */
#ifndef KERNEL_TASK_H
#define KERNEL_TASK_H

#include <anyctx/kthread.h>
#include <anyctx/llist.h>
#include <anyctx/lockdep.h>
#include <anyctx/rtmutex.h>

enum task_state {
	TASK_RUNNABLE,
	TASK_TOKEN,  /* runnable, and its next park returns at once */
	TASK_PARKED, /* whoever makes it RUNNABLE sends `node` to its CPU */
	TASK_DEAD,
};

struct task {
	u64 rsp;               /* its CPU: of its registers, while it does not run */
	union {
		struct {
			u32 state; /* anyone, by compare-and-swap */
			u32 life;  /* its maker: which thread it is of those that this slot has been */
		};
		u64 state_and_life;
	};
	u32 cpu;               /* where it is; changed by the CPU that sends it away */
	s32 wanted;            /* anyone: where it is to be, or CPU_ANY */
	u32 prio;              /* anyone: its own */
	u32 boost;             /* inherited; this and the next two: rtmutex.c */
	struct rt_waiter *blocked_on;
	struct rt_mutex *held; /* what it holds and others wait for */
	struct llist_node node;
	struct task *next;     /* its CPU: behind it in its queue */
	u32 level;             /* its CPU: which queue */
	s32 slice;             /* its CPU: ticks until others' turn */
	bool parked;           /* its CPU: not to be queued until its message comes */
	bool first;            /* constant: what a CPU ran at boot, and falls back to */
	bool dying;            /* its CPU: gone when it has been switched away from */
	bool sleeping;         /* its CPU: on the list of sleepers */
	u32 used, stop;        /* anyone: taken from the pool; asked to end */
	u32 pinned;            /* itself: depth of migrate_disable */
	bool per_cpu;          /* set once, before its CPU can go: stands still while that is offline */
	u64 long_work;         /* itself: of long_work_begin */
	struct task *next_sleeper;
	u64 wake_at;           /* its CPU: tick, */
	u32 tick_cpu;          /* its CPU: as this one counts */
	struct task *joiner;   /* NULL, who waits for the end, or TASK_GONE; by exchange */
	struct mem_cgroup *group; /* its CPU: that pays, while it does not run */
	int (*fn)(void *);
	void *arg;
	int result;
	u64 stack_top;
	u8 locks[LOCKDEP_THREAD_BYTES] __aligned(8); /* for the checker of locks, if this build has it */
	char name[KTHREAD_NAME];
};
#define TASK_GONE ((struct task *)1)

/* What it runs at. */
static inline u32 task_prio(const struct task *t)
{
	u32 own = READ_ONCE(t->prio), boost = READ_ONCE(t->boost);

	return own > boost ? own : boost;
}

#define NR_PRIO (PRIO_HIGHEST + 1)

/* Its CPU, interrupts off. A thread is in one queue, or running, or parked, or on its way. */
struct rq {
	struct task *curr, *first;
	struct task *head[NR_PRIO], *tail[NR_PRIO];
	u32 levels;             /* bit for each that is not empty */
	struct task *sleepers;  /* the next to wake is first */
	struct task *prev;      /* across a switch: who was switched away from */
	struct task *leaving;   /* the same if it goes to another CPU */
	const struct task *keeps; /* what the last look found */
	u64 looks;
	u64 switches, preemptions, sent;
};
DECLARE_PER_CPU(struct rq, rq);
DECLARE_PER_CPU(struct llist_head, wakes); /* its messages */

/* ---- runqueue.c: interrupts off, this CPU's ---- */
void rq_add(struct rq *q, struct task *t, bool in_front);
/* The first of the highest priority, taken out; NULL: none. */
struct task *rq_take(struct rq *q);
/* The highest priority queued; -1: none. */
int rq_highest(const struct rq *q);
/* Those whose priority has changed go to their new queue. */
void rq_sort(struct rq *q);

/* ---- sleep.c: the same ---- */
void sleepers_add(struct rq *q, struct task *t, u64 tick);
void sleepers_remove(struct rq *q, struct task *t);
/* One that is due, taken out; NULL: none. */
struct task *sleepers_due(struct rq *q, u64 tick);
/* This CPU, still online, goes: all but its own are taken out, and woken. */
void sleepers_leave(struct rq *q);

/* ---- rtmutex.c: its own priority has changed ---- */
void rt_mutex_requeue(struct task *t);

/* ---- sched.c ---- */
/* wake_up_process for who may come when the thread has ended, and another is in its place: the
 * life was read when it was sure to be there. Any context. */
bool wake_up_life(struct task *t, u32 life);
/* What it runs at has changed: its CPU looks. Any context. */
void sched_priority_changed(const struct task *t);
struct task *task_of_first(unsigned int cpu);
/* Else a panic that says so. */
void check_may_sleep(const char *call);
/* Sleep, for so many ticks if not 0; interrupts off. */
void park_irqs_off(u64 ticks);
/* The thread that runs ends; interrupts off. */
void __noreturn sched_end(void);
/* Where a thread of this CPU has to be instead, or -1. */
int sched_elsewhere(const struct task *t);
/* That is to be `cpu`, or CPU_ANY. False: that CPU is offline or about to go; all is as before. */
bool sched_want_cpu(struct task *t, s32 cpu);
/* Onto a CPU's list of messages, with an IPI if that was empty; and the same, and on to another
 * one if that CPU is offline. Any context; who has made it RUNNABLE, or taken it from a queue. */
void sched_put(struct task *t, unsigned int cpu);
void sched_send(struct task *t, unsigned int cpu);
/* First thing in a new thread, and after each switch: see to the one before. */
void sched_switched(void);

/* ---- kthread.c ---- */
/* Nothing of it is in use any more. Interrupts off. */
void kthread_gone(struct task *t);
void kthread_prepare(void);
/* The i-th of the pool, in use or not; NULL: there are no more. */
struct task *kthread_slot(unsigned int i);
/* Taken from the pool, and its stack is still in use, or will be. */
bool kthread_alive(const struct task *t);

/* ---- sched_cpu.c ---- */
/* Of the CPUs that threads may come to, the one with the fewest. Any context. */
unsigned int least_busy_cpu(void);
/* What waits on the list of a CPU that is offline goes elsewhere. Any context. */
void sched_take_over(unsigned int cpu);
/* This CPU is to go: those that are to be elsewhere leave; who keeps it? Interrupts off. */
void sched_look(struct rq *q);

#endif
