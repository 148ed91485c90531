/*
 * preempt.h - keeping the CPU: between preempt_disable and preempt_enable the thread
 * that runs stays on its CPU, and no other thread runs there.
 *
 * Interrupts, NMIs and debug exceptions come all the same. The calls nest, and may be
 * called in any context; outside of threads they change nothing that matters, as only
 * threads are preempted. Whoever holds the CPU may not wait for another thread of it.
 */
#ifndef ANYCTX_PREEMPT_H
#define ANYCTX_PREEMPT_H

#include <anyctx/percpu.h>

/* How many of them are open on this CPU; and: another thread should run here. */
DECLARE_PER_CPU(u64, preempt_count);
DECLARE_PER_CPU(u64, need_resched);

/* Lets it run, if it may be now. Any context. */
void preempt_check(void);

/* One instruction: before it the thread may still move, after it not any more. */
static __always_inline void preempt_disable(void)
{
	this_cpu_add64(preempt_count, 1);
	barrier();
}

static __always_inline void preempt_enable(void)
{
	barrier();
	this_cpu_add64(preempt_count, -1);
	if (unlikely(this_cpu_read64(need_resched)))
		preempt_check();
}

/*
 * Between them this thread stays on its CPU, though others may run there, and it may
 * sleep; they nest. Threads; elsewhere they do nothing. Not in the hosted build.
 */
void migrate_disable(void);
void migrate_enable(void);

/*
 * A long piece of work, preempt_disable between begin and end; but at each point others
 * may run, and then it goes on, on the same CPU. A point inside a preempt_disable of the
 * caller's is none. They nest: it is a point of all of them, so each is to be where
 * nobody holds anything. CONFIG_RT only; kernel/rt/work.c. Any context.
 */
void long_work_begin(void);
void long_work_end(void);
void long_work_point(void);

#endif
