/*
 * irq_work.c - tests of irq_work: from every context, to every CPU, none lost.
 */
#include <anyctx/irq_work.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "kernel/smp.h"
#include "lib/string.h"
#include "kernel/run_in.h"
#include "tests/step.h"
#include "tests/test.h"

#define WAIT_NS 5000000000UL

static volatile u64 runs, ran_on, bad;

static bool wait_runs(u64 n)
{
	u64 end = arch_ns() + WAIT_NS;

	while (runs < n && arch_ns() < end)
		cpu_relax();
	return runs >= n;
}

/* irq_work_sync, but a lost work is a failure rather than a hang. */
static bool settled(struct irq_work *w)
{
	u64 end = arch_ns() + WAIT_NS;

	while (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE) && arch_ns() < end)
		cpu_relax();
	if (__atomic_load_n(&w->state, __ATOMIC_ACQUIRE))
		return false;
	irq_work_sync(w);
	return true;
}

static void count_run(struct irq_work *w)
{
	(void)w;
	if (current_context() != CTX_IRQ || !arch_irqs_disabled())
		bad++;
	ran_on = smp_processor_id();
	__atomic_fetch_add((u64 *)&runs, 1, __ATOMIC_SEQ_CST);
}

TEST(irq_work, every_cpu, "work queued on a CPU runs there once, in interrupt context")
{
	static struct irq_work w; /* a lost one must not point into the stack */

	init_irq_work(&w, count_run);
	bad = 0;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		runs = 0;
		EXPECT(irq_work_queue_on(&w, cpu));
		REQUIRE(wait_runs(1));
		EXPECT(settled(&w));
		EXPECT_EQ(runs, 1);
		EXPECT_EQ(ran_on, cpu);
	}
	EXPECT_EQ(bad, 0);
}

TEST(irq_work, pending_once, "work that waits is not queued twice; work that has run is queued again")
{
	static struct irq_work w;
	u64 flags;

	init_irq_work(&w, count_run);
	runs = 0;
	flags = arch_irq_save();
	EXPECT(irq_work_queue(&w));
	EXPECT(!irq_work_queue(&w));
	EXPECT_EQ(runs, 0);
	arch_irq_restore(flags);
	REQUIRE(wait_runs(1));
	EXPECT(settled(&w));
	EXPECT_EQ(runs, 1);
	EXPECT(irq_work_queue(&w));
	REQUIRE(wait_runs(2));
	EXPECT(settled(&w));
	EXPECT_EQ(runs, 2);
}

/* ---- no such CPU ---- */
static struct irq_work astray;
static volatile u64 told;

static bool count_told(const char *text, size_t len)
{
	static const char words[] = "irq_work_queue_on: there is no CPU ";
	bool ours = len >= sizeof(words) && !strncmp(text, words, sizeof(words) - 1);

	if (ours)
		told++;
	return ours;
}

static void queue_astray(void *arg)
{
	if (irq_work_queue_on(&astray, *(const unsigned int *)arg))
		bad++;
}

TEST(irq_work, no_such_cpu, "a CPU that there is not is reported, in every context, and nothing is queued")
{
	unsigned int numbers[] = { num_online_cpus(), NR_CPUS, NR_CPUS + 1, 1u << 31, ~0u };

	init_irq_work(&astray, count_run);
	runs = bad = told = 0;
	printk_set_tap(count_told);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (unsigned int i = 0; i < ARRAY_SIZE(numbers); i++)
			run_in((enum context)ctx, 0, queue_astray, &numbers[i]);
	printk_set_tap(NULL);
	EXPECT_EQ(told, NR_CONTEXT * ARRAY_SIZE(numbers));
	EXPECT_EQ(bad, 0);
	EXPECT_EQ(astray.state, 0);
	EXPECT(irq_work_queue(&astray));
	EXPECT(wait_runs(1));
	EXPECT(settled(&astray));
}

/* ---- from NMI, and at every instruction ---- */
#define NMI_WORKS 200
static struct irq_work nmi_works[NMI_WORKS];
static volatile u64 nmis;

static void queue_in_nmi(struct regs *r)
{
	u64 i = nmis;

	(void)r;
	if (i < NMI_WORKS && !irq_work_queue_on(&nmi_works[i], i % num_online_cpus()))
		bad++;
	nmis = i + 1;
}

TEST(irq_work, from_nmi, "work queued in NMIs, for this and other CPUs, all runs")
{
	runs = bad = nmis = 0;
	for (int i = 0; i < NMI_WORKS; i++)
		init_irq_work(&nmi_works[i], count_run);
	set_nmi_hook(queue_in_nmi);
	for (u64 i = 1; i <= NMI_WORKS; i++) {
		u64 end = arch_ns() + WAIT_NS;

		arch_send_nmi(smp_processor_id());
		while (nmis < i && arch_ns() < end)
			cpu_relax();
	}
	set_nmi_hook(NULL);
	hook_sync();
	EXPECT_EQ(nmis, NMI_WORKS);
	EXPECT(wait_runs(NMI_WORKS));
	for (int i = 0; i < NMI_WORKS; i++)
		EXPECT(settled(&nmi_works[i]));
	EXPECT_EQ(runs, NMI_WORKS);
	EXPECT_EQ(bad, 0);
}

static struct irq_work outer, inner;
static u64 inner_queued, outer_queued;

static void queue_inner(struct regs *r)
{
	(void)r;
	inner_queued += irq_work_queue(&inner);
	outer_queued += irq_work_queue(&outer);
}

static void queue_outer(void *arg)
{
	(void)arg;
	outer_queued += irq_work_queue(&outer);
	irq_work_serve();
}

TEST(irq_work, every_instruction,
     "queuing two works at every instruction of queuing and serving: each true return is one run")
{
	u64 flags, points;

	if (!step_possible())
		return;
	flags = arch_irq_save();
	init_irq_work(&outer, count_run);
	init_irq_work(&inner, count_run);
	runs = inner_queued = outer_queued = 0;
	points = step_through(queue_outer, NULL, queue_inner);
	arch_irq_restore(flags);
	EXPECT(settled(&outer));
	EXPECT(settled(&inner));
	EXPECT_EQ(runs, inner_queued + outer_queued);
	EXPECT(points > 40);
	test_note("%lu points, %lu queued", points, inner_queued + outer_queued);
}

static u64 step, queue_step;

static void queue_inner_once(struct regs *r)
{
	(void)r;
	if (++step == queue_step)
		inner_queued += irq_work_queue(&inner);
}

/* At one instruction only: a work that is queued waits, and leaves the others alone. */
TEST(irq_work, one_instruction, "queuing a work at any one instruction of queuing and serving another: both run")
{
	u64 points = 1, flags;

	if (!step_possible())
		return;
	for (queue_step = 1; queue_step <= points; queue_step++) {
		flags = arch_irq_save();
		init_irq_work(&outer, count_run);
		init_irq_work(&inner, count_run);
		runs = inner_queued = outer_queued = step = 0;
		points = step_through(queue_outer, NULL, queue_inner_once);
		arch_irq_restore(flags);
		EXPECT(settled(&outer));
		EXPECT(settled(&inner));
		EXPECT_EQ(inner_queued, 1);
		EXPECT_EQ(runs, 2);
	}
	test_note("%lu points", points);
	EXPECT(points > 40);
}

#define LONG_US 20000
static bool ended;

static void run_long(struct irq_work *w)
{
	(void)w;
	__atomic_fetch_add(&runs, 1, __ATOMIC_SEQ_CST);
	arch_udelay(LONG_US);
	__atomic_store_n(&ended, true, __ATOMIC_RELEASE);
}

TEST(irq_work, sync_waits, "irq_work_sync returns when the function has, not when it has begun")
{
	static struct irq_work w;
	unsigned int cpu = num_online_cpus() - 1;

	if (!cpu) {
		test_skip("needs two CPUs");
		return;
	}
	init_irq_work(&w, run_long);
	ended = false;
	runs = 0;
	EXPECT(irq_work_queue_on(&w, cpu));
	EXPECT(wait_runs(1));
	irq_work_sync(&w);
	EXPECT(__atomic_load_n(&ended, __ATOMIC_ACQUIRE));
}

/* ---- a work that queues itself ---- */
#define SELF_RUNS 20000

static void queue_self(struct irq_work *w)
{
	if (++runs < SELF_RUNS && !irq_work_queue(w))
		bad++;
}

TEST(irq_work, requeue_self, "a work that queues itself 20,000 times runs so often")
{
	static struct irq_work w;

	runs = bad = 0;
	init_irq_work(&w, queue_self);
	irq_work_queue(&w);
	EXPECT(wait_runs(SELF_RUNS));
	EXPECT(settled(&w));
	EXPECT_EQ(runs, SELF_RUNS);
	EXPECT_EQ(bad, 0);
}

/* ---- re-queued by another CPU while it runs ---- */
#define PINGS 200000
#define PING_NS 4000000000UL
#define LEAST 1000 /* however long a busy host takes for them */

static volatile u64 produced, consumed;
static volatile bool lost;

/* The producer goes on, and queues again, while this function still runs. */
static void consume(struct irq_work *w)
{
	(void)w;
	consumed = produced;
	for (u64 i = 0; i < (produced & 31); i++)
		cpu_relax();
}

static void produce(void *arg)
{
	u64 end = arch_ns() + PING_NS;

	for (u64 i = 1; i <= PINGS && (i <= LEAST || arch_ns() < end); i++) {
		u64 limit = arch_ns() + WAIT_NS;

		produced = i;
		irq_work_queue_on(arg, 0);
		while (consumed != i && arch_ns() < limit)
			cpu_relax();
		if (consumed != i) {
			lost = true;
			return;
		}
	}
}

TEST(irq_work, requeue_during_run,
     "work queued by another CPU while it runs, or just ends, is never lost")
{
	static struct irq_work w;

	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	init_irq_work(&w, consume);
	produced = consumed = 0;
	lost = false;
	cpu_thread_run(1, produce, &w);
	cpu_thread_wait(1);
	EXPECT(settled(&w));
	EXPECT(!lost);
	EXPECT_EQ(consumed, produced);
	EXPECT(produced >= LEAST);
	test_note("%lu hand-overs", produced);
}

/* Two CPUs queue the same work on each other, from its own function as well. */
static u64 posted, taken, storm_end;

static bool storm_over(void)
{
	return arch_ns() >= storm_end && __atomic_load_n(&taken, __ATOMIC_RELAXED) >= LEAST;
}

static void storm_run(struct irq_work *w)
{
	__atomic_fetch_add(&taken, 1, __ATOMIC_SEQ_CST);
	if (!storm_over() && irq_work_queue_on(w, num_online_cpus() - 1 - smp_processor_id()))
		__atomic_fetch_add(&posted, 1, __ATOMIC_SEQ_CST);
}

static void storm_post(void *arg)
{
	if (smp_processor_id() && smp_processor_id() != num_online_cpus() - 1)
		return;
	while (!storm_over())
		if (irq_work_queue_on(arg, num_online_cpus() - 1 - smp_processor_id()))
			__atomic_fetch_add(&posted, 1, __ATOMIC_SEQ_CST);
}

TEST(irq_work, two_cpus_storm,
     "two CPUs queue one work on each other at full speed: as many runs as queued")
{
	static struct irq_work w;

	init_irq_work(&w, storm_run);
	posted = taken = 0;
	storm_end = arch_ns() + 1500000000;
	on_each_cpu_thread(storm_post, &w);
	EXPECT(settled(&w));
	EXPECT_EQ(taken, posted);
	EXPECT(taken >= LEAST);
	test_note("%lu runs", taken);
}
