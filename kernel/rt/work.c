/*
 * work.c - long pieces of work with points where others may run (preempt.h).
 *
 * Invariant: a thread's `long_work` is how many are open, each of which is one of
 * preempt_count and one of `pinned`. So at a point preempt_count is equal to it exactly
 * if nobody else holds the CPU; then the count is 0 for the time of a look. The thread
 * stays on its CPU, so the count is this one's again after. Interrupts and NMIs keep
 * their CPU by nature: they do not count.
 */
#include <arch/cpu.h>
#include "kernel/context.h"
#include "kernel/task.h"

void long_work_begin(void)
{
	preempt_disable();
	if (in_thread()) {
		struct task *t = current_task();

		WRITE_ONCE(t->long_work, t->long_work + 1);
		WRITE_ONCE(t->pinned, t->pinned + 1);
	}
	barrier();
}

void long_work_end(void)
{
	barrier();
	if (in_thread()) {
		struct task *t = current_task();

		WRITE_ONCE(t->long_work, t->long_work - 1);
		migrate_enable();
	}
	preempt_enable();
}

void long_work_point(void)
{
	u64 count = this_cpu_read64(preempt_count);

	if (likely(!this_cpu_read64(need_resched)) || !in_thread() || current_task()->long_work != count ||
	    arch_irqs_disabled())
		return;
	this_cpu_write64(preempt_count, 0);
	preempt_check();
	this_cpu_write64(preempt_count, count);
	barrier();
}
