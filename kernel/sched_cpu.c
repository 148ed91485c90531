/*
 * sched_cpu.c - the threads of a CPU that goes offline: who keeps it, and where the others go.
 *
 * Invariant: as long as a CPU is online it alone takes its messages, so what it has of its
 * threads is its own, as ever (sched.c): in its last moment, interrupts off, it sends the
 * queued ones elsewhere, writes another CPU into `cpu` of those that are parked, and wakes
 * there those that sleep for a time. When its bit in cpu_online_mask is cleared only messages are
 * left, none of a thread that is on another list of its; whoever finds the bit cleared may
 * take them.
 *
 * A sender puts the node on the list and then looks at the bit, the CPU clears the bit and
 * then takes the list (full barriers both): one of the two sees the other, and no wake-up
 * stays behind. The CPU may be back before the sender takes the list, and what is there may
 * be on its other lists: so the sender looks again when it has it in hands, and puts it back.
 * Per-CPU threads do stay, in the queue, among the sleepers, or on the list.
 *
 * least_busy_cpu and sched_take_over: any context. The others: sched.h.
 */
#include <anyctx/smp.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "kernel/task.h"
#include "kernel/tick.h"

/* ---- where to ---- */

unsigned int least_busy_cpu(void)
{
	unsigned int cpu, best = 0;
	u8 threads[NR_CPUS] = { 0 };
	const struct task *t;

	for (unsigned int i = 0; (t = kthread_slot(i)) != NULL; i++)
		if (kthread_alive(t))
			threads[READ_ONCE(t->cpu)]++;
	for_each_online_cpu(cpu)
		if (cpu_active(cpu) && threads[cpu] < threads[best])
			best = cpu;
	return best;
}

/* True: it was back by then, so they are its own, and are there again. */
static bool take_messages_of(unsigned int cpu)
{
	struct llist_node *n = llist_reverse_order(llist_del_all(per_cpu_ptr(wakes, cpu)));
	bool back = cpu_online(cpu); /* after they were taken: else none is on another list of its */

	while (n) {
		struct task *t = container_of(n, struct task, node);
		bool stays = back || READ_ONCE(t->per_cpu);

		n = n->next; /* it runs as soon as it is put */
		sched_put(t, stays ? cpu : 0);
	}
	return back;
}

/* CPU 0 never goes. With interrupts off, as who has them in hands is to pass them on. */
void sched_take_over(unsigned int cpu)
{
	u64 flags = arch_irq_save();

	while (take_messages_of(cpu) && !cpu_online(cpu))
		;
	arch_irq_restore(flags);
}

/* ---- who keeps it ---- */

static bool is_bound_to(const struct task *t, unsigned int cpu)
{
	return kthread_alive(t) && !READ_ONCE(t->per_cpu) && __atomic_load_n(&t->wanted, __ATOMIC_SEQ_CST) == (s32)cpu;
}

const char *sched_bound_to(unsigned int cpu)
{
	const struct task *t;

	for (unsigned int i = 0; (t = kthread_slot(i)) != NULL; i++)
		if (is_bound_to(t, cpu))
			return t->name;
	return NULL;
}

/* On this CPU, while its first thread runs or is interrupted. */
static const struct task *pinned_here(void)
{
	unsigned int cpu = smp_processor_id();
	const struct task *t;

	for (unsigned int i = 0; (t = kthread_slot(i)) != NULL; i++)
		if (kthread_alive(t) && READ_ONCE(t->cpu) == cpu && (READ_ONCE(t->pinned) || is_bound_to(t, cpu)))
			return t;
	return NULL;
}

static void push_out(struct rq *q, int (*elsewhere)(const struct task *))
{
	struct task *stay = NULL, **end = &stay;

	for (struct task *t = rq_take(q); t; t = rq_take(q)) {
		int cpu = elsewhere(t);

		if (cpu < 0 || t == q->curr) {
			*end = t;
			end = &t->next;
		} else {
			q->sent++;
			sched_send(t, (unsigned int)cpu);
		}
	}
	*end = NULL;
	while (stay) {
		struct task *t = stay;

		stay = t->next;
		rq_add(q, t, false);
	}
}

/* In IPI_RESCHED. The one that runs may be on its way into anything. */
void sched_look(struct rq *q)
{
	const struct task *t;

	push_out(q, sched_elsewhere);
	t = pinned_here();
	q->keeps = t || q->curr->first ? t : q->curr;
	__atomic_store_n(&q->looks, q->looks + 1, __ATOMIC_RELEASE);
}

/* Not by a call: who has put one on that CPU's list may be stopped before its IPI. */
const char *sched_keeps_cpu(unsigned int cpu, u64 end)
{
	const struct rq *q = per_cpu_ptr(rq, cpu);
	u64 was = __atomic_load_n(&q->looks, __ATOMIC_SEQ_CST);
	const struct task *t;
	bool told;

	arch_send_ipi(cpu, IPI_RESCHED);
	do
		told = __atomic_load_n(&q->looks, __ATOMIC_ACQUIRE) != was;
	while (!told && arch_ns() < end);
	t = READ_ONCE(q->keeps);
	if (!t && !told)
		t = READ_ONCE(q->curr);
	return t ? t->name : NULL;
}

bool sched_may_leave(void)
{
	return !pinned_here();
}

/* Without ticks there is only the turn of others of the same priority. */
void sched_pause(void)
{
	if (tick_hz())
		schedule_timeout(1);
	else
		yield();
}

/* ---- that CPU, in its last moment ---- */

/* Whoever wakes one from now on sends it there. One who has just read that it is here puts it
 * on this CPU's list, and says so in `cpu` once more. */
static void rehome_parked(void)
{
	u32 here = smp_processor_id();
	struct task *t;

	for (unsigned int i = 0; (t = kthread_slot(i)) != NULL; i++) {
		u32 was = here;

		if (READ_ONCE(t->used) && !READ_ONCE(t->per_cpu))
			__atomic_compare_exchange_n(&t->cpu, &was, least_busy_cpu(), false, __ATOMIC_SEQ_CST,
						    __ATOMIC_SEQ_CST);
	}
}

/* None is pinned (sched_may_leave), and who has bound one here since is about to be refused. */
static int last_elsewhere(const struct task *t)
{
	s32 wanted = READ_ONCE(t->wanted);

	if (READ_ONCE(t->per_cpu))
		return -1;
	return wanted != CPU_ANY && cpu_active((u32)wanted) ? wanted : (int)least_busy_cpu();
}

void sched_leave(void)
{
	struct rq *q = this_cpu_ptr(rq);

	push_out(q, last_elsewhere);
	sleepers_leave(q);
	rehome_parked();
}

void sched_left(void)
{
	sched_take_over(smp_processor_id());
}
