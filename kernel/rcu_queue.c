/*
 * rcu_queue.c - what waits for a grace period: functions (call_rcu) and frees (kfree_rcu),
 * each in a queue of the CPU that asked.
 *
 * A queue is two lists: new entries go on the current one, and the other waits for a grace
 * period. Its word says which, and for what: number << 2 | IS_NUMBERED | current.
 *
 * Invariant: entries on the waiting list were put there by calls that had begun when the
 * lists changed places (the word lost IS_NUMBERED); its number was found after that. So
 * when that grace period has ended, all of them may go, also one that an interrupted call
 * puts there late. The lists change places only when the waiting one is empty.
 *
 * Only its CPU touches a queue: entries come by one unlocked compare-and-swap and go one
 * by one by a restartable sequence, which also sees that the word is what it was. So a call
 * that comes in between finds every entry that is not done, at every instruction. In thread
 * context this is done with interrupts off: the thread stays on its CPU, and a function
 * run by IPI finds no entry in hands below it.
 *
 * A CPU that goes does what waits there while it is online. Functions that come later, which may
 * be the same ones for ever, it takes off its lists whole, offline and with interrupts off, and
 * CPU 0 puts them on its own when that CPU sleeps, under cpus_lock: before any rcu_barrier.
 *
 * All functions: any context, but rcu_barrier and those of a CPU that goes. Functions of
 * call_rcu are not run in NMIs and debug exceptions.
 */
#include <anyctx/cpu.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <arch/irq.h>
#include <arch/local.h>
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/rcu.h"

enum kind { FUNCTIONS, FREES, NR_KINDS };

#define CURRENT 1UL
#define IS_NUMBERED 2UL
#define NUMBER(w) ((w) >> 2)
#define A_RUN 256 /* entries in one interrupt */
#define TRIES 4

struct queue {
	u64 list[2];
	u64 word;
	u64 changes; /* of the lists' places */
};
static DEFINE_PER_CPU(struct queue, queues[NR_KINDS]);

/* ------------------------------------------------------------- adding */

static void add(enum kind kind, struct rcu_head *head)
{
	u64 flags = arch_irq_save(), list = this_cpu_read64(queues[kind].word) & CURRENT, first;

	first = this_cpu_read64(queues[kind].list[list]);
	do
		WRITE_ONCE(head->next, (struct rcu_head *)first);
	while (!this_cpu_cmpxchg64(&queues[kind].list[list], &first, (u64)head));
	if (!first)
		rcu_kick(smp_processor_id());
	arch_irq_restore(flags);
}

void call_rcu(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	head->func = func;
	add(FUNCTIONS, head);
}

void __kfree_rcu(struct rcu_head *head, u64 offset)
{
	head->func = (void (*)(struct rcu_head *))offset;
	add(FREES, head);
}

void rcu_free_by(struct rcu_head *head, void (*func)(struct rcu_head *head))
{
	head->func = func;
	add(FREES, head);
}

/* ------------------------------------------------------------- running */

static void run(struct rcu_head *head)
{
	u64 offset = (u64)head->func;

	if (offset < 4096)
		kfree_nolock((char *)head - offset);
	else
		head->func(head);
}

/* The lists change places, if the waiting one is empty and the other not; and the number
 * for which one waits is found. True: there is now a number that was not there. w: the word. */
static bool go_on(enum kind kind, u64 w)
{
	u64 number;

	if (w & IS_NUMBERED) {
		u64 current = w & CURRENT, changed = (w ^ CURRENT) & ~IS_NUMBERED;

		if (this_cpu_read64(queues[kind].list[!current]) || !this_cpu_read64(queues[kind].list[current]))
			return false;
		if (!this_cpu_cmpxchg64(&queues[kind].word, &w, changed))
			return true; /* an interrupting call has gone on */
		this_cpu_add64(queues[kind].changes, 1);
		w = changed;
	}
	number = get_state_synchronize_rcu();
	this_cpu_cmpxchg64(&queues[kind].word, &w, number << 2 | IS_NUMBERED | (w & CURRENT));
	rcu_want(number);
	rcu_note_quiet();
	return true;
}

/* One entry that may go. REFUSED: none, or the word is not w any more. */
static enum local_result run_one(enum kind kind, u64 w)
{
	u64 off = kind * sizeof(struct queue), flags = arch_irq_save();
	enum local_result r;
	void *head;

	r = w & CURRENT ? local_list_pop(&queues[0].list[0], &queues[0].word, off, w, &head) :
			  local_list_pop(&queues[0].list[1], &queues[0].word, off, w, &head);
	if (r == LOCAL_DONE)
		run(head);
	arch_irq_restore(flags);
	return r;
}

/* Up to most of them; how many. What is left, and may go, is asked for again. */
static u64 run_some(enum kind kind, u64 most)
{
	unsigned int tries = TRIES;
	u64 n = 0;

	while (n < most && tries) {
		u64 w = this_cpu_read64(queues[kind].word);
		enum local_result r = LOCAL_REFUSED;

		if (w & IS_NUMBERED && !poll_state_synchronize_rcu(NUMBER(w)))
			return n; /* its end will be told */
		if (w & IS_NUMBERED)
			r = run_one(kind, w);
		n += r == LOCAL_DONE;
		tries -= r == LOCAL_RESTART;
		if (r == LOCAL_REFUSED && !go_on(kind, w))
			return n;
	}
	rcu_kick(smp_processor_id());
	return n;
}

void rcu_queues_run(void)
{
	run_some(FUNCTIONS, A_RUN);
	run_some(FREES, A_RUN);
}

static bool waits(unsigned int cpu, enum kind kind)
{
	const struct queue *q = &(*per_cpu_ptr(queues, cpu))[kind];

	return __atomic_load_n(&q->list[0], __ATOMIC_SEQ_CST) || __atomic_load_n(&q->list[1], __ATOMIC_SEQ_CST);
}

bool rcu_queued(unsigned int cpu)
{
	return waits(cpu, FUNCTIONS) || waits(cpu, FREES);
}

void rcu_queues_kick(void)
{
	unsigned int c;

	for_each_online_cpu(c)
		if (rcu_queued(c))
			rcu_kick(c);
}

/* -------------------------------------------------- at the end of memory */

void rcu_hurry(bool always)
{
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		always |= waits(c, FREES);
	if (always)
		start_poll_synchronize_rcu();
}

u64 rcu_flush_here(void)
{
	u64 told = rcu_note_quiet();

	return told + (waits(smp_processor_id(), FREES) ? run_some(FREES, ~0UL) : 0);
}

/* Frees on that CPU that only it can make, or go on with. */
static bool has_due(unsigned int cpu)
{
	u64 w = __atomic_load_n(&(*per_cpu_ptr(queues, cpu))[FREES].word, __ATOMIC_SEQ_CST);

	return waits(cpu, FREES) && (!(w & IS_NUMBERED) || poll_state_synchronize_rcu(NUMBER(w)));
}

/* A CPU inside a reader would only say so. */
bool rcu_holds(unsigned int cpu)
{
	bool reads = __atomic_load_n(&per_cpu_ptr(rcu_cpu, cpu)->nesting, __ATOMIC_RELAXED) != 0;

	return (rcu_waits_for(cpu) && !reads) || has_due(cpu);
}

/* -------------------------------------------------------------- barrier */

struct barrier {
	u64 changes[NR_CPUS][NR_KINDS]; /* when it began */
	u32 unfinished;
};

static void barrier_begin(void *arg)
{
	struct barrier *b = arg;

	for (unsigned int k = 0; k < NR_KINDS; k++)
		b->changes[smp_processor_id()][k] = this_cpu_read64(queues[k].changes);
}

/* What was there has gone when the lists have changed places twice: each time the waiting
 * one was empty. We may have begun in the middle of one, before it was counted: so it is
 * three. */
static bool gone_since(enum kind kind, u64 changes)
{
	return !waits(smp_processor_id(), kind) || this_cpu_read64(queues[kind].changes) - changes >= 3;
}

static void barrier_look(void *arg)
{
	struct barrier *b = arg;
	unsigned int me = smp_processor_id();

	rcu_note_quiet();
	for (enum kind k = 0; k < NR_KINDS; k++) {
		run_some(k, ~0UL);
		if (!gone_since(k, b->changes[me][k]))
			__atomic_store_n(&b->unfinished, 1, __ATOMIC_RELAXED);
	}
}

void rcu_barrier(void)
{
	struct barrier b;

	rcu_check_may_wait("rcu_barrier");
	cpus_read_lock();
	on_each_cpu(barrier_begin, &b, true);
	for (;;) {
		b.unfinished = 0;
		on_each_cpu(barrier_look, &b, true);
		if (!b.unfinished)
			break;
		synchronize_rcu();
	}
	cpus_read_unlock();
}

/* ---------------------------------------------------- a CPU goes offline */

static struct rcu_head *handed; /* by it, to CPU 0, which waits for it meanwhile */

/* In its thread: nobody else can touch its queues. What was there is done, not what comes. */
void rcu_leave(void)
{
	u64 functions, frees;

	preempt_disable();
	functions = this_cpu_read64(queues[FUNCTIONS].changes);
	frees = this_cpu_read64(queues[FREES].changes);
	while (!gone_since(FUNCTIONS, functions) || !gone_since(FREES, frees)) {
		start_poll_synchronize_rcu();
		rcu_note_quiet();
		run_some(FUNCTIONS, A_RUN);
		run_some(FREES, A_RUN);
		cpu_relax();
	}
	preempt_enable();
}

static struct rcu_head *take_functions(u64 list)
{
	u64 first = this_cpu_read64(queues[FUNCTIONS].list[list]);

	while (!this_cpu_cmpxchg64(&queues[FUNCTIONS].list[list], &first, 0))
		;
	return (struct rcu_head *)first;
}

static void hand_over(struct rcu_head *head)
{
	while (head) {
		struct rcu_head *next = head->next;

		head->next = handed;
		handed = head;
		head = next;
	}
}

/* Frees have an end: each is made. Functions may not have: those that came since wait anew. */
void rcu_left(void)
{
	while (waits(smp_processor_id(), FREES)) {
		start_poll_synchronize_rcu();
		rcu_note_quiet();
		run_some(FREES, A_RUN);
		cpu_relax();
	}
	hand_over(take_functions(0));
	hand_over(take_functions(1));
}

void rcu_adopt(void)
{
	struct rcu_head *head = handed;

	handed = NULL;
	while (head) {
		struct rcu_head *next = head->next;

		add(FUNCTIONS, head);
		head = next;
	}
}
