/*
 * rcu.c - grace periods: when has each CPU been outside of all readers?
 *
 * Readers count themselves on their CPU, one instruction each way, without a barrier.
 * So only the CPU itself can say that it is outside: in the IPI or NMI that asks it, or
 * at the end of the reader that the IPI has found.
 *
 * Invariant: `gp` is the number of the newest grace period << 1 | is it under way. It
 * begins by one compare-and-swap, and ends by one, of whoever finds that every CPU's
 * `seen` is its number; a CPU's seen is raised by itself alone, at an instruction where
 * its nesting is 0. Each of these may be done by any context, again and again: nobody
 * needs to come back to it who was interrupted. A thread keeps its CPU from the first of
 * these to the last (asking the CPUs, the look whether all were seen): one of a higher
 * priority may wait for the grace period and never let it go on.
 *
 * A CPU that is offline and holds nothing any more is not waited for: its bit in a mask of
 * RCU's own, which it changes itself, is clear. What still runs there between its going
 * offline and that, functions of work and calls and handlers of breakpoints, may read. A
 * breakpoint later on sets the bit for its handler. Whenever it has cleared its bit, and when it
 * is online again, the CPU looks at the grace period: so it ends one that waited for it
 * alone, and is seen in one whose asking it has missed.
 *
 * All functions: any context, but synchronize_rcu and rcu_init.
 */
#include "kernel/rcu.h"
#include <anyctx/irq_work.h>
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/local.h>
#include <arch/machine.h>
#include <arch/sanitize.h>
#include "kernel/context.h"
#include "kernel/panic.h"

#define RUNNING 1UL
#define NUMBER(g) ((g) >> 1)

DEFINE_PER_CPU(struct rcu_cpu, rcu_cpu);
static DEFINE_PER_CPU(struct irq_work, rcu_work);
static u64 gp, wanted_number;
static u64 reading = 1; /* a bit for each CPU whose readers are waited for */

static u64 load(const u64 *p)
{
	return __atomic_load_n(p, __ATOMIC_SEQ_CST);
}

static bool cas(u64 *p, u64 old, u64 new)
{
	return __atomic_compare_exchange_n(p, &old, new, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* ---------------------------------------------------- beginning and end */

void rcu_kick(unsigned int cpu)
{
	irq_work_queue_on(per_cpu_ptr(rcu_work, cpu), cpu);
}

/* The next one, if it is wanted and none is under way. Who ends one looks here as well,
 * after he has ended it; who wants one, after he has said so: one of the two sees it. A
 * thread has the CPU to itself. */
static void begin_next(void)
{
	u64 g = load(&gp);
	unsigned int c;

	if (g & RUNNING || load(&wanted_number) <= NUMBER(g))
		return;
	if (!cas(&gp, g, (NUMBER(g) + 1) << 1 | RUNNING))
		return; /* who was faster asks the CPUs */
	for_each_online_cpu(c)
		rcu_kick(c);
}

void rcu_want(u64 number)
{
	u64 was = load(&wanted_number);

	while (was < number && !cas(&wanted_number, was, number))
		was = load(&wanted_number);
	preempt_disable();
	begin_next();
	preempt_enable();
}

static bool waits_in(u64 g, unsigned int cpu)
{
	return load(&reading) >> cpu & 1 && load(&per_cpu_ptr(rcu_cpu, cpu)->seen) < NUMBER(g);
}

/* g as it was read: if every CPU has been seen outside in it, it is over. Who comes to be
 * reading behind our look reads what is new. */
static void end_if_all_seen(u64 g)
{
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		if (waits_in(g, c))
			return;
	if (!cas(&gp, g, g & ~RUNNING))
		return;
	rcu_queues_kick();
	begin_next();
}

static bool note_quiet(void)
{
	u64 g = load(&gp), seen = this_cpu_read64(rcu_cpu.seen), before = seen;

	if (!(g & RUNNING))
		return false;
	if (rcu_read_lock_held()) {
		this_cpu_write64(rcu_cpu.wanted, 1);
		return false;
	}
	sanitize_release(&this_cpu_ptr(rcu_cpu)->seen);
	/* An interrupting call may have told of a later one. */
	while (seen < NUMBER(g) && !this_cpu_cmpxchg64(&rcu_cpu.seen, &seen, NUMBER(g)))
		;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* and whoever reads from now on sees all that is new */
	end_if_all_seen(g);
	return before < NUMBER(g);
}

bool rcu_note_quiet(void)
{
	bool was_new;

	preempt_disable();
	was_new = note_quiet();
	preempt_enable();
	return was_new;
}

/* Readers of what this one has interrupted go on: they will tell. */
void __rcu_reader_ended(void)
{
	if (rcu_read_lock_held())
		return;
	this_cpu_write64(rcu_cpu.wanted, 0);
	rcu_note_quiet();
}

bool rcu_waits_for(unsigned int cpu)
{
	u64 g = load(&gp);

	return g & RUNNING && waits_in(g, cpu);
}

u64 rcu_ended(void)
{
	u64 g = load(&gp);

	return g & RUNNING ? NUMBER(g) - 1 : NUMBER(g);
}

/* ------------------------------------------------- CPUs that go and come */

void rcu_set_online(u64 cpus)
{
	__atomic_store_n(&reading, cpus, __ATOMIC_SEQ_CST);
}

bool rcu_may_read(void)
{
	return load(&reading) >> smp_processor_id() & 1;
}

void rcu_join(void)
{
	__atomic_fetch_or(&reading, 1UL << smp_processor_id(), __ATOMIC_SEQ_CST);
}

void rcu_part(void)
{
	__atomic_fetch_and(&reading, ~(1UL << smp_processor_id()), __ATOMIC_SEQ_CST);
	rcu_note_quiet();
}

/* ------------------------------------------------------------- asking */

/* The one under way may have begun too early, so it is the next. */
u64 get_state_synchronize_rcu(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return NUMBER(load(&gp)) + 1;
}

u64 start_poll_synchronize_rcu(void)
{
	u64 n = get_state_synchronize_rcu();

	rcu_want(n);
	return n;
}

bool poll_state_synchronize_rcu(u64 state)
{
	bool ended = rcu_ended() >= state;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return ended;
}

void rcu_check_may_wait(const char *call)
{
	if (unlikely(rcu_read_lock_held()))
		panic("%s inside a reader: it would wait for itself", call);
	check_may_wait(call);
}

void synchronize_rcu(void)
{
	u64 n;

	rcu_check_may_wait("synchronize_rcu");
	n = start_poll_synchronize_rcu();
	while (!poll_state_synchronize_rcu(n))
		cpu_relax();
}

static void work_run(struct irq_work *w)
{
	(void)w;
	rcu_note_quiet();
	rcu_queues_run();
}

void rcu_init(void)
{
	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++)
		init_irq_work(per_cpu_ptr(rcu_work, c), work_run);
}
