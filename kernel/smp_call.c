/*
 * smp_call.c - calling a function on other CPUs.
 *
 * Invariant: a call is a node that is on its target's list from one compare-and-
 * swap (llist_add) to the exchange that takes the list; then the target runs it,
 * and its last access to the node is the decrement of *done. The node of a caller
 * that waits lies on the caller's stack; the others are one for each pair of
 * CPUs, taken by one compare-and-swap of `done` from 0 to 1.
 *
 * The target lets a not waiting call's node go before it calls the function, so
 * that the function may call again. What it has taken from its list is in no function's
 * way either: one that waits for a node to come back (on_each_cpu) serves the rest, as its
 * target may wait for one of these. From the claim of a node until it is on its target's
 * list interrupts are off: who waits for it in an interrupt would wait for what that has
 * interrupted.
 *
 * A target that goes offline takes its list after it has said so (cpu.c). Who has put a
 * node there and then finds it offline takes the list as well: its nodes were too late,
 * and their calls are not made. If it is back when the list has been taken, they are in time
 * for that, and are put there again; others' calls may be among them.
 */
#include <anyctx/llist.h>
#include <anyctx/lockdep.h>
#include <anyctx/preempt.h>
#include <arch/irq.h>
#include <arch/machine.h>
#include "kernel/context.h"
#include "kernel/smp.h"
#include "lib/bits.h"

struct call {
	struct llist_node node;
	smp_call_func_t func;
	void *info;
	u64 *done; /* decremented by the target */
	bool wait;
	bool refused; /* the target had gone */
};

/* On the calling CPU: its calls that nobody waits for, by target. */
struct pair_call {
	struct call call;
	u64 busy;
};

static DEFINE_PER_CPU(struct llist_head, call_list);
static DEFINE_PER_CPU(struct llist_node *, calls_left); /* taken from it, not begun; interrupts off */
static DEFINE_PER_CPU(struct pair_call, pair_calls[NR_CPUS]);

int cpu_to_node(unsigned int cpu)
{
	return arch_cpu_node(cpu);
}

unsigned int num_nodes(void)
{
	return arch_nr_nodes();
}

static void put(struct call *c, unsigned int cpu)
{
	if (llist_add(&c->node, per_cpu_ptr(call_list, cpu)))
		arch_send_ipi(cpu, IPI_CALL);
}

/* All that is on the list of a CPU that is offline. True: it was back when the list had been
 * taken, and has what was there again. */
static bool refuse_list(unsigned int cpu)
{
	struct llist_node *n = llist_reverse_order(llist_del_all(per_cpu_ptr(call_list, cpu)));
	bool back = cpu_online(cpu);

	while (n) {
		struct call *c = container_of(n, struct call, node);

		n = n->next;
		if (back) {
			put(c, cpu);
			continue;
		}
		WRITE_ONCE(c->refused, true);
		__atomic_fetch_sub(c->done, 1, __ATOMIC_RELEASE);
	}
	return back;
}

static void refuse(unsigned int cpu)
{
	while (refuse_list(cpu) && !cpu_online(cpu))
		;
}

static void send(struct call *c, unsigned int cpu)
{
	put(c, cpu);
	if (unlikely(!cpu_online(cpu)))
		refuse(cpu);
}

static void make_call(struct call *c)
{
	smp_call_func_t func = c->func;
	void *info = c->info;
	u64 *done = c->done;
	bool wait = c->wait;

	if (!wait)
		__atomic_fetch_sub(done, 1, __ATOMIC_RELEASE);
	func(info);
	if (wait)
		__atomic_fetch_sub(done, 1, __ATOMIC_RELEASE);
}

/* A function may itself serve (on_each_cpu): that goes on with what is left here. */
void smp_call_serve(void)
{
	struct llist_node **left = this_cpu_ptr(calls_left);

	if (!*left)
		*left = llist_reverse_order(llist_del_all(this_cpu_ptr(call_list)));
	while (*left) {
		struct call *c = container_of(*left, struct call, node);

		*left = c->node.next;
		make_call(c);
	}
}

static void call_here(smp_call_func_t func, void *info)
{
	u64 flags = arch_irq_save();

	func(info);
	arch_irq_restore(flags);
}

/* With interrupts off two CPUs that call each other would wait for ever. */
static void check_call_waits(const char *call)
{
	lock_wait_service(&lock_interrupts);
	check_may_wait(call);
}

static void wait_zero(const u64 *done)
{
	while (__atomic_load_n(done, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static int call_single_wait(unsigned int cpu, smp_call_func_t func, void *info)
{
	u64 left = 1;
	struct call c = { .func = func, .info = info, .done = &left, .wait = true };

	check_call_waits("smp_call_function_single");
	send(&c, cpu);
	wait_zero(&left);
	return READ_ONCE(c.refused) ? -EINVAL : 0;
}

/* One look for all of a call: who is online may change meanwhile. */
static u64 online_others(void)
{
	return __atomic_load_n(&cpu_online_mask, __ATOMIC_SEQ_CST) & ~(1UL << smp_processor_id());
}

static void call_others_wait(smp_call_func_t func, void *info)
{
	struct call c[NR_CPUS];
	u64 others = online_others(), left = popcount64(others);

	check_call_waits("smp_call_function");
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++) {
		if (!(others >> cpu & 1))
			continue;
		c[cpu] = (struct call){ .func = func, .info = info, .done = &left, .wait = true };
		send(&c[cpu], cpu);
	}
	wait_zero(&left);
}

static bool claim(struct pair_call *p)
{
	u64 free = 0;

	return __atomic_compare_exchange_n(&p->busy, &free, 1, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED);
}

static void send_claimed(struct pair_call *p, unsigned int cpu, smp_call_func_t func, void *info)
{
	p->call = (struct call){ .func = func, .info = info, .done = &p->busy };
	send(&p->call, cpu);
}

/* All targets' nodes or none. */
static int claim_others(struct pair_call *p, u64 others)
{
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++) {
		if (!(others >> cpu & 1) || claim(&p[cpu]))
			continue;
		while (cpu--)
			if (others >> cpu & 1)
				__atomic_store_n(&p[cpu].busy, 0, __ATOMIC_RELEASE);
		return -EAGAIN;
	}
	return 0;
}

static int call_others_nowait(smp_call_func_t func, void *info)
{
	struct pair_call *p = *this_cpu_ptr(pair_calls);
	u64 others = online_others(), flags = arch_irq_save();
	int err = claim_others(p, others);

	for (unsigned int cpu = 0; cpu < num_possible_cpus() && !err; cpu++)
		if (others >> cpu & 1)
			send_claimed(&p[cpu], cpu, func, info);
	arch_irq_restore(flags);
	return err;
}

/* Which CPU is "this one" must not change under way. */
int smp_call_function(smp_call_func_t func, void *info, bool wait)
{
	int ret = 0;

	preempt_disable();
	if (wait)
		call_others_wait(func, info);
	else
		ret = call_others_nowait(func, info);
	preempt_enable();
	return ret;
}

static int call_single_nowait(unsigned int cpu, smp_call_func_t func, void *info)
{
	struct pair_call *p = &(*this_cpu_ptr(pair_calls))[cpu];
	u64 flags = arch_irq_save();
	bool claimed = claim(p);

	if (claimed)
		send_claimed(p, cpu, func, info);
	arch_irq_restore(flags);
	return claimed ? 0 : -EAGAIN;
}

static int call_single(unsigned int cpu, smp_call_func_t func, void *info, bool wait)
{
	if (!cpu_online(cpu))
		return -EINVAL;
	if (cpu == smp_processor_id()) {
		call_here(func, info);
		return 0;
	}
	if (wait)
		return call_single_wait(cpu, func, info);
	return call_single_nowait(cpu, func, info);
}

int smp_call_function_single(unsigned int cpu, smp_call_func_t func, void *info, bool wait)
{
	int ret;

	preempt_disable();
	ret = call_single(cpu, func, info, wait);
	preempt_enable();
	return ret;
}

void on_each_cpu(smp_call_func_t func, void *info, bool wait)
{
	preempt_disable();
	while (smp_call_function(func, info, wait)) {
		/* The earlier call's target may itself wait here for us. */
		if (arch_irqs_disabled())
			smp_call_serve();
		cpu_relax();
	}
	call_here(func, info);
	preempt_enable();
}
