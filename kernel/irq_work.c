/*
 * irq_work.c - functions to be run in interrupt context, queued from anywhere.
 *
 * Invariant: an item is on exactly one CPU's list, or about to be put there by
 * the context that set PENDING, exactly while PENDING is set. Two instructions
 * commit: a locked OR that sets PENDING (who sees it clear owns the item until
 * it is on a list), and a locked ADD that clears it and counts a runner, before
 * the function is called. Both are full barriers, so a caller that finds PENDING
 * set knows that the function has not begun, and will see all that the caller
 * wrote before; a caller that finds it clear queues it anew. Nothing is lost.
 *
 * The IPI is sent by whoever made a list non-empty. The server takes the whole
 * list at once after the IPI was acknowledged, so a later first item raises
 * another IPI.
 *
 * A CPU that goes offline runs its list after it has said so (cpu.c). Who has put an item
 * there and then finds it offline takes the list, and puts it on its own.
 */
#include <anyctx/config.h>
#include <anyctx/irq_work.h>
#include <anyctx/lockdep.h>
#include <anyctx/wait.h>
#include <arch/irq.h>
#include "kernel/context.h"
#include "kernel/printk.h"
#include "kernel/smp.h"

#define PENDING 1u
#define RUNNER 2u /* the rest of the word counts them: two CPUs may run one item */

static DEFINE_PER_CPU(struct llist_head, work_list);
static bool can_send;
static struct wait_queue_head ended; /* CONFIG_RT: who waits for any item */

static void put(struct irq_work *w, unsigned int cpu)
{
	if (llist_add(&w->node, per_cpu_ptr(work_list, cpu)) && READ_ONCE(can_send))
		arch_send_ipi(cpu, IPI_IRQ_WORK);
}

/* All that is on the list of a CPU that is offline, which may be this one (it goes just
 * now). This one goes in its thread only, so not while we are here. True: the other was back
 * when its list had been taken, and has what was there again. */
static bool take_list(unsigned int cpu)
{
	unsigned int to = cpu_online(smp_processor_id()) ? smp_processor_id() : 0;
	struct llist_node *n = llist_reverse_order(llist_del_all(per_cpu_ptr(work_list, cpu)));
	bool back = cpu_online(cpu);

	while (n) {
		struct llist_node *next = n->next;

		put(container_of(n, struct irq_work, node), back ? cpu : to);
		n = next;
	}
	return back;
}

static void take_over(unsigned int cpu)
{
	while (take_list(cpu) && !cpu_online(cpu))
		;
}

/* A thread keeps its CPU: who found PENDING set may wait for the function and never let it
 * go on; and the CPU that takes over is this one. */
static bool queue(struct irq_work *w, unsigned int cpu)
{
	bool mine;

	preempt_disable();
	mine = !(__atomic_fetch_or(&w->state, PENDING, __ATOMIC_SEQ_CST) & PENDING);
	if (mine) {
		put(w, cpu);
		if (unlikely(!cpu_online(cpu)))
			take_over(cpu);
	}
	preempt_enable();
	return mine;
}

bool irq_work_queue_on(struct irq_work *w, unsigned int cpu)
{
	if (unlikely(cpu >= num_possible_cpus())) {
		printk("irq_work_queue_on: there is no CPU %u, CPUs are 0 to %u; not queued\n", cpu,
		       num_possible_cpus() - 1);
		return false;
	}
	return queue(w, cpu);
}

bool irq_work_queue(struct irq_work *w)
{
	return queue(w, smp_processor_id()); /* also of a CPU that is not online yet */
}

void irq_work_run_one(struct irq_work *w)
{
	__atomic_fetch_add(&w->state, RUNNER - PENDING, __ATOMIC_SEQ_CST);
	w->func(w);
	__atomic_fetch_sub(&w->state, RUNNER, __ATOMIC_RELEASE);
	if (CONFIG_RT)
		wake_up_all(&ended);
}

void irq_work_serve(void)
{
	struct llist_node *n = llist_reverse_order(llist_del_all(this_cpu_ptr(work_list)));

	while (n) {
		struct irq_work *w = container_of(n, struct irq_work, node);

		n = n->next; /* running it lets others queue it again */
		if (!CONFIG_RT || !w->lazy || !irq_work_to_thread(w))
			irq_work_run_one(w);
	}
}

void irq_work_sync(struct irq_work *w)
{
	lock_wait_service(&lock_interrupts);
	check_may_wait("irq_work_sync");
	if (CONFIG_RT) /* a thread may run it that has a lower priority */
		wait_event(ended, !__atomic_load_n(&w->state, __ATOMIC_ACQUIRE));
	while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE))
		cpu_relax();
}

/* What was queued before the local APIC worked is run now. */
void irq_work_init(void)
{
	u64 flags = arch_irq_save();

	WRITE_ONCE(can_send, true);
	irq_work_serve();
	arch_irq_restore(flags);
}
