/*
 * rt_hotplug.c - CONFIG=rt: a CPU's thread for lazy irq_work goes to sleep with its CPU and
 * comes back with it, and no work is lost on the way; who holds a lock that sleeps keeps its CPU.
 */
#include <anyctx/cpu.h>
#include <anyctx/irq_work.h>
#include <anyctx/spinlock.h>
#include <anyctx/wait.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/sched.h"
#include "kernel/smp.h"
#include "lib/string.h"
#include "tests/hotplug.h"
#include "tests/kthread_hotplug.h"
#include "tests/test.h"

#define NR_WORKS 16
#define ROUNDS 40

static unsigned int victim;
static struct irq_work works[NR_WORKS];
static u64 queued, ran, ran_there, ran_elsewhere;

static void work_ran(struct irq_work *w)
{
	(void)w;
	__atomic_fetch_add(&ran, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(smp_processor_id() == victim ? &ran_there : &ran_elsewhere, 1, __ATOMIC_RELAXED);
}

static void queue_one(u64 i)
{
	if (irq_work_queue_on(&works[i % NR_WORKS], victim))
		__atomic_fetch_add(&queued, 1, __ATOMIC_RELAXED);
}

static void queue_in_hook(struct regs *r)
{
	(void)r;
	queue_one(READ_ONCE(queued) + smp_processor_id());
	if (current_context() == CTX_IRQ)
		arch_send_nmi(smp_processor_id());
}

static char ran_in[KTHREAD_NAME];

static void note_where(struct irq_work *w)
{
	(void)w;
	memcpy(ran_in, task_name(current_task()), KTHREAD_NAME);
}

TEST(hotplug, lazy_work, "lazy work queued while its CPU goes and comes runs once each; when the CPU is back, in its thread")
{
	struct irq_work where;

	victim = hotplug_victim();
	if (!victim)
		return;
	queued = ran = ran_there = ran_elsewhere = 0;
	for (unsigned int i = 0; i < NR_WORKS; i++)
		init_irq_work_lazy(&works[i], work_ran);
	set_nmi_hook(queue_in_hook);
	set_tick_hook(queue_in_hook);
	for (u64 i = 0; i < ROUNDS; i++) {
		for (u64 k = 0; k < NR_WORKS / 2; k++)
			queue_one(i * 3 + k);
		EXPECT_EQ(cpu_down(victim), 0);
		for (u64 k = 0; k < NR_WORKS / 2; k++)
			queue_one(i * 5 + k);
		EXPECT_EQ(cpu_up(victim), 0);
	}
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	hook_sync();
	for (unsigned int i = 0; i < NR_WORKS; i++)
		irq_work_sync(&works[i]);
	EXPECT_EQ(ran, queued);
	EXPECT(ran_there > 0 && ran_elsewhere > 0);
	test_note("%lu queued, %lu ran on their CPU, %lu elsewhere", queued, ran_there, ran_elsewhere);
	init_irq_work_lazy(&where, note_where);
	EXPECT(irq_work_queue_on(&where, victim));
	irq_work_sync(&where);
	EXPECT(!strcmp(ran_in, "lazy"));
}

/* ---- work in the thread's hands ---- */

static struct completion in_work, go_on;

static void work_waits(struct irq_work *w)
{
	(void)w;
	if (!in_thread())
		return; /* the CPU went before its thread had begun */
	complete(&in_work);
	wait_for_completion(&go_on);
	__atomic_fetch_add(&ran, 1, __ATOMIC_SEQ_CST);
}

static int let_it_go_on(void *unused)
{
	(void)unused;
	schedule_timeout(30);
	complete(&go_on);
	return 0;
}

TEST(hotplug, lazy_in_hand, "a CPU whose thread is in the middle of work, asleep in it, stays until that and what is behind it are done")
{
	struct irq_work first, behind;
	struct task *t;

	victim = hotplug_victim();
	if (!victim)
		return;
	init_completion(&in_work);
	init_completion(&go_on);
	ran = ran_there = ran_elsewhere = 0;
	init_irq_work_lazy(&first, work_waits);
	init_irq_work_lazy(&behind, work_ran);
	irq_work_queue_on(&first, victim);
	wait_for_completion(&in_work);
	irq_work_queue_on(&behind, victim);
	t = kthread_run_on_cpu(let_it_go_on, NULL, 0, "lets");
	REQUIRE(t);
	EXPECT_EQ(cpu_down(victim), 0);
	EXPECT_EQ(READ_ONCE(ran), 2);
	EXPECT_EQ(cpu_up(victim), 0);
	irq_work_sync(&first);
	irq_work_sync(&behind);
	EXPECT_EQ(ran_there, 1);
	kthread_join(t);
}

/* ---- work that its thread has not begun ---- */

/*
 * The CPU queues work for its thread while it is active, and is held before it wakes that
 * thread until it is to go; and again until the function that makes it go has come for its
 * first thread. That has the higher priority, and so goes before the work.
 */
static struct task *lazy;
static u64 looks;
static enum context ran_ctx;
static u32 held_times;

static struct task *lazy_of(unsigned int cpu)
{
	struct task *t;

	for (unsigned int i = 0; (t = kthread_slot(i)) != NULL; i++)
		if (t->used && t->per_cpu && t->wanted == (s32)cpu && !strcmp(t->name, "lazy"))
			return t;
	return NULL;
}

static bool hold_cpu(struct regs *r, u64 dr6)
{
	if (smp_processor_id() != victim || dr6 & DR6_SINGLE_STEP)
		return false;
	arch_debug_undisturbed();
	if (held_times == 0 && r->rip == (u64)wake_up_process && r->rdi == (u64)lazy) {
		__atomic_store_n(&held_times, 1, __ATOMIC_RELEASE);
		while (cpu_active(victim))
			cpu_relax();
		looks = per_cpu_ptr(rq, victim)->looks;
		arch_hw_break_clear(0);
		EXPECT_EQ(arch_hw_break_set(0, sched_preempt, HW_BREAK_EXEC, 1), 0);
	} else if (held_times == 1 && r->rip == (u64)sched_preempt && per_cpu_ptr(rq, victim)->looks != looks) {
		held_times = 2;
		arch_hw_break_clear(0);
		while (llist_empty(per_cpu_ptr(wakes, victim)))
			cpu_relax();
	}
	return true;
}

static void note_context(struct irq_work *w)
{
	(void)w;
	ran_ctx = current_context();
	EXPECT_EQ(smp_processor_id(), victim);
	__atomic_fetch_add(&ran, 1, __ATOMIC_SEQ_CST);
}

TEST(hotplug, lazy_left, "lazy work that its thread has not begun when its CPU goes, as others come first, is done on the way")
{
	struct irq_work w;
	unsigned int prio;

	victim = hotplug_victim();
	if (!victim || !break_possible())
		return;
	lazy = lazy_of(victim);
	REQUIRE(lazy);
	prio = task_priority(lazy);
	ran = 0;
	held_times = 0;
	init_irq_work_lazy(&w, note_context);
	sched_set_priority(lazy, PRIO_LEAST);
	set_trap_hook(hold_cpu);
	break_on(victim, wake_up_process);
	EXPECT(irq_work_queue_on(&w, victim));
	while (!__atomic_load_n(&held_times, __ATOMIC_ACQUIRE))
		cpu_relax();
	EXPECT_EQ(cpu_down(victim), 0);
	EXPECT_EQ(held_times, 2);
	EXPECT_EQ(READ_ONCE(ran), 1);
	EXPECT_EQ(ran_ctx, CTX_IRQ); /* its thread had not come to it */
	set_trap_hook(NULL);
	hook_sync();
	EXPECT_EQ(cpu_up(victim), 0);
	irq_work_sync(&w);
	EXPECT_EQ(ran, 1);
	sched_set_priority(lazy, prio);
}

/* ---- locks ---- */

static spinlock_t lock = SPINLOCK_INIT;
static struct completion held;

static int hold(void *ticks)
{
	spin_lock(&lock);
	complete(&held);
	schedule_timeout((s64)ticks);
	EXPECT_EQ(smp_processor_id(), victim);
	spin_unlock(&lock);
	return 0;
}

static int want(void *unused)
{
	(void)unused;
	complete(&held);
	spin_lock(&lock);
	spin_unlock(&lock);
	return 0;
}

static struct task *begin_there(int (*fn)(void *), void *arg, const char *name)
{
	struct task *t = kthread_create_on_cpu(fn, arg, victim, name);

	if (t) {
		kthread_set_cpu(t, CPU_ANY);
		wake_up_process(t);
		wait_for_completion(&held);
	}
	return t;
}

TEST(hotplug, lock_holders, "a CPU on which threads hold and wait for a lock that sleeps goes when they are through, not before")
{
	struct task *holder, *waiter;

	victim = hotplug_victim();
	if (!victim)
		return;
	init_completion(&held);
	holder = begin_there(hold, (void *)40UL, "holder");
	waiter = begin_there(want, NULL, "waiter");
	REQUIRE(holder && waiter);
	EXPECT_EQ(cpu_down(victim), 0);
	EXPECT(!spin_is_locked(&lock));
	EXPECT_EQ(cpu_up(victim), 0);
	kthread_join(holder);
	kthread_join(waiter);
	spin_lock(&lock);
	waiter = begin_there(want, NULL, "waiter");
	REQUIRE(waiter);
	schedule_timeout(3);
	EXPECT_EQ(cpu_down(victim), -EBUSY);
	spin_unlock(&lock);
	kthread_join(waiter);
	EXPECT_EQ(cpu_down(victim), 0);
	EXPECT_EQ(cpu_up(victim), 0);
}
