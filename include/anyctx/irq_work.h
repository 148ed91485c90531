/*
 * irq_work.h - run a function soon, from anywhere: in hard interrupt context.
 *
 * irq_work_queue and irq_work_queue_on may be called at any instruction, in any
 * context, NMI included. A work item that is queued and not yet begun is not
 * queued twice (the call returns false); one that re-queues itself, or is
 * re-queued by another CPU while its function runs, runs again: none is lost. The
 * function runs with interrupts off, but for a lazy item under CONFIG_RT, which a
 * thread runs with them on; on the chosen CPU, unless that is or goes offline
 * (irq_work_queue_on). The item is the caller's memory, and stays so until
 * irq_work_sync has returned.
 */
#ifndef ANYCTX_IRQ_WORK_H
#define ANYCTX_IRQ_WORK_H

#include <anyctx/llist.h>

struct irq_work {
	struct llist_node node;
	u32 state; /* bit 0: pending; the rest: how many CPUs run it */
	u32 lazy;
	void (*func)(struct irq_work *);
};

/* Before its first use, or after irq_work_sync. */
static inline void init_irq_work(struct irq_work *w, void (*func)(struct irq_work *))
{
	w->node.next = NULL;
	w->state = 0;
	w->lazy = 0;
	w->func = func;
}

/* The same for what need not be done in an interrupt: under CONFIG_RT a thread of the
 * chosen CPU calls the function, with interrupts on (kernel/rt/lazy.c). */
static inline void init_irq_work_lazy(struct irq_work *w, void (*func)(struct irq_work *))
{
	init_irq_work(w, func);
	w->lazy = 1;
}

/* On this CPU. True: func will run once for it; false: it waits already. */
bool irq_work_queue(struct irq_work *w);
/* On a CPU from 0 to num_possible_cpus() - 1; another number is reported on the console,
 * and false. If the CPU is not online, or goes before it has run: on the caller's, or on
 * CPU 0. So it is never lost, but func is not to count on the CPU. */
bool irq_work_queue_on(struct irq_work *w, unsigned int cpu);
/* Wait until w neither waits nor runs. Thread context, interrupts on (checked: else
 * a panic). It ends only if the function stops re-queuing. */
void irq_work_sync(struct irq_work *w);

#endif
