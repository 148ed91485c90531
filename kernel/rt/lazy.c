/*
 * lazy.c - irq_work that need not be done in an interrupt is done by a thread of each
 * CPU, at the priority that lazy_prio= says (irq_work.h, init_irq_work_lazy).
 *
 * Invariant: an item is PENDING until its thread begins it, whichever list it is on: the
 * CPU's list of irq_work, then this one, to which only interrupts of the CPU add. So
 * irq_work_sync waits for it, and it is queued once, as without threads.
 *
 * A CPU that is about to go offline runs them in the interrupt again, and what is left on this
 * list on its way; its thread, which keeps the CPU as long as it has any in its hands, stands
 * still until the CPU is back.
 */
#include <anyctx/irq_work.h>
#include <anyctx/kthread.h>
#include <anyctx/smp.h>
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/smp.h"

static s64 lazy_prio = 20;
KPARAM_INT(lazy_prio, "lazy_prio", PRIO_LEAST, PRIO_HIGHEST, "priority of the threads that do deferred work");

static DEFINE_PER_CPU(struct llist_head, lazy_list);
static DEFINE_PER_CPU(struct task *, lazy_thread);

static bool run_all(void)
{
	struct llist_node *n = llist_reverse_order(llist_del_all(this_cpu_ptr(lazy_list)));
	bool any = n != NULL;

	while (n) {
		struct llist_node *next = n->next; /* it may be queued again */

		irq_work_run_one(container_of(n, struct irq_work, node));
		n = next;
	}
	return any;
}

static int serve(void *unused)
{
	(void)unused;
	for (;;) {
		bool any;

		migrate_disable();
		any = run_all();
		migrate_enable();
		if (!any)
			park();
	}
	return 0;
}

/* In the interrupt. False: there is no thread yet, or none that would get to it. */
bool irq_work_to_thread(struct irq_work *w)
{
	struct task *t = *this_cpu_ptr(lazy_thread);

	if (!t || !cpu_active(smp_processor_id()))
		return false;
	llist_add(&w->node, this_cpu_ptr(lazy_list));
	wake_up_process(t);
	return true;
}

void lazy_leave(void)
{
	run_all();
}

void lazy_init(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		struct task *t = kthread_run_on_cpu(serve, NULL, cpu, "lazy");

		BUG_ON(!t);
		kthread_set_per_cpu(t);
		sched_set_priority(t, (unsigned int)lazy_prio);
		*per_cpu_ptr(lazy_thread, cpu) = t;
	}
}
