/*
 * inject_rcu.c - frees that are put off for readers, and the making of them, interrupted
 * at every instruction by others of the same.
 *
 * What is put off is freed before the point is looked at: no reader is inside.
 */
#include <anyctx/rcupdate.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/rcu.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

#define QUEUED 3

struct entry {
	u64 pattern[2];
	struct rcu_head head;
};

static struct entry *own;
static u64 ran;
static struct rcu_head function;

/* ---- nested calls ---- */

static void put_off_nolock(void *unused)
{
	(void)unused;
	nested_want(kfree_rcu_nolock(let_go()));
}

static void put_off_head(void *unused)
{
	struct entry *e = let_go();

	(void)unused;
	kfree_rcu(e, head);
}

static void flush(void *unused)
{
	(void)unused;
	rcu_hurry(true);
	rcu_flush_here();
}

static void put_off_and_flush(void *unused)
{
	put_off_head(unused);
	put_off_nolock(unused);
	flush(unused);
	put_off_head(unused);
}

static const struct nested_call calls[] = {
	{ "both, and a flush", put_off_and_flush }, { "by a record", put_off_nolock },
	{ "by a head", put_off_head }, { "flush", flush },
};

/* ---- states ---- */

/* Everything that was put off is made, with interrupts on for a moment. */
static void make_all(void)
{
	while (rcu_queued(0)) {
		rcu_hurry(true);
		rcu_flush_here();
		arch_irq_enable();
		cpu_relax();
		arch_irq_disable();
	}
}

static void state_own(void)
{
	make_all();
	state_chain(2);
	own = let_go();
	ran = 0;
}

static void state_queued(void)
{
	state_own();
	kfree_rcu(own, head);
	for (unsigned int i = 1; i < QUEUED; i++)
		put_off_head(NULL);
}

static void by_record(void *unused)
{
	(void)unused;
	nested_want(kfree_rcu_nolock(own));
}

static void by_head(void *unused)
{
	(void)unused;
	kfree_rcu(own, head);
}

static void count(struct rcu_head *head)
{
	(void)head;
	ran++;
}

static void function_put_off(void *unused)
{
	(void)unused;
	call_rcu(&function, count);
}

static bool settle_made(void)
{
	make_all();
	return true;
}

static bool settle_ran(void)
{
	make_all();
	kfree(own);
	return ran == 1;
}

/* The slab that the records come from is there before the pages are counted. */
static void sweep_rcu(const struct interrupted *c)
{
	void *record = kmalloc(24, GFP_KERNEL);

	if (step_possible()) {
		REQUIRE(record && states_begin());
		sweep_with(c, calls, ARRAY_SIZE(calls));
		states_end();
	}
	kfree(record);
}

TEST(inject, rcu_record, "a free put off by a record, interrupted by others and by a flush")
{
	sweep_rcu(&(struct interrupted){ .state = state_own, .run = by_record, .settle = settle_made });
	sweep_rcu(&(struct interrupted){ .state = state_own, .run = by_record, .settle = settle_made, .in_nmi = true });
}

TEST(inject, rcu_head, "a free put off by a head in it, interrupted")
{
	sweep_rcu(&(struct interrupted){ .state = state_own, .run = by_head, .settle = settle_made });
}

TEST(inject, rcu_function, "a function put off, interrupted: it runs once")
{
	sweep_rcu(&(struct interrupted){ .state = state_own, .run = function_put_off, .settle = settle_ran });
}

TEST(inject, rcu_flush, "frees made that were put off, from the beginning of a grace period on, interrupted")
{
	if (num_online_cpus() > 1) {
		test_skip("with more than one CPU it goes a way of the others' choice");
		return;
	}
	sweep_rcu(&(struct interrupted){ .state = state_queued, .run = flush, .settle = settle_made });
}
