/*
 * rt.c - what CONFIG=rt changes: locks sleep, deferred work has threads, the long ways of
 * the allocator are preempted; and calls from interrupts and NMIs get memory as ever.
 */
#include <anyctx/irq_work.h>
#include <anyctx/local_lock.h>
#include <anyctx/spinlock.h>
#include <anyctx/wait.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/task.h"
#include "kernel/tick.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/ballast.h"
#include "kernel/run_in.h"
#include "tests/test.h"

static spinlock_t lock = SPINLOCK_INIT;
static DEFINE_PER_CPU(local_lock_t, local);
static DEFINE_PER_CPU(local_trylock_t, local_try);

/* ---- locks ---- */
static u64 inside, wrong;

static int hold_and_sleep(void *arg)
{
	for (unsigned int i = 0; i < 10; i++) {
		u64 flags = spin_lock_irqsave(&lock);

		wrong += arch_irqs_disabled() || inside++ != 0;
		schedule_timeout(1);
		inside--;
		spin_unlock_irqrestore(&lock, flags);
		flags = local_lock_irqsave(&local);
		if (arg) /* on the same CPU as the others that have it set */
			wrong += __atomic_fetch_add((u64 *)arg, 1, __ATOMIC_SEQ_CST) != 0;
		yield();
		if (arg)
			__atomic_fetch_sub((u64 *)arg, 1, __ATOMIC_SEQ_CST);
		local_unlock_irqrestore(&local, flags);
	}
	return 0;
}

TEST(rt, locks_sleep, "a holder of a spinlock or local lock sleeps, interrupts on, and the others of its CPU wait for it")
{
	struct task *t[6];
	u64 inside_local = 0;

	inside = wrong = 0;
	for (unsigned int i = 0; i < 6; i++) {
		unsigned int cpu = i % 2 ? num_online_cpus() - 1 : 0;

		t[i] = kthread_run_on_cpu(hold_and_sleep, cpu ? NULL : &inside_local, cpu, "holds");
		REQUIRE(t[i]);
	}
	for (unsigned int i = 0; i < 6; i++)
		kthread_join(t[i]);
	EXPECT_EQ(wrong, 0);
}

static void try_all(void *got)
{
	u64 flags;

	*(u32 *)got = 0;
	if (spin_trylock(&lock)) {
		*(u32 *)got |= 1;
		spin_unlock(&lock);
	}
	if (spin_trylock_irqsave(&lock, &flags)) {
		*(u32 *)got |= 2;
		spin_unlock_irqrestore(&lock, flags);
	}
	if (local_trylock_irqsave(&local_try, &flags)) {
		*(u32 *)got |= 4;
		local_trylock_unlock_irqrestore(&local_try, flags);
	}
}

TEST(rt, trylocks, "the trylocks get a free lock in a thread, and none in interrupts, NMIs and debug exceptions")
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		u32 got = 8;

		run_in((enum context)ctx, 0, try_all, &got);
		EXPECT_EQ(got, ctx == CTX_THREAD ? 7 : 0);
	}
	EXPECT(!spin_is_locked(&lock));
	EXPECT(!local_lock_is_locked(&local_try));
}

static struct completion have_it;
static u32 prio_with_lock;
static struct task *low, *high;

static int low_holder(void *arg)
{
	(void)arg;
	spin_lock(&lock);
	complete(&have_it);
	while (!READ_ONCE(high->blocked_on))
		cpu_relax();
	prio_with_lock = task_prio(current_task());
	spin_unlock(&lock);
	return 0;
}

static int high_waiter(void *arg)
{
	(void)arg;
	wait_for_completion(&have_it);
	spin_lock(&lock);
	spin_unlock(&lock);
	return 0;
}

TEST(rt, spinlock_inherits, "the holder of a spinlock inherits the priority of who waits for it")
{
	init_completion(&have_it);
	low = kthread_create_on_cpu(low_holder, NULL, 0, "low");
	high = kthread_create_on_cpu(high_waiter, NULL, 0, "high");
	REQUIRE(low && high);
	sched_set_priority(high, 22);
	wake_up_process(high);
	wake_up_process(low);
	kthread_join(low);
	kthread_join(high);
	EXPECT_EQ(prio_with_lock, 22);
}

/* ---- deferred work ---- */
static char ran_in[KTHREAD_NAME];
static u32 ran_on, ran_context;

static void note_where(struct irq_work *w)
{
	(void)w;
	memcpy(ran_in, task_name(current_task()), KTHREAD_NAME);
	ran_on = smp_processor_id();
	ran_context = current_context();
}

static void queue_here(void *w)
{
	irq_work_queue(w);
}

TEST(rt, lazy_work, "lazy irq_work, queued in any context, runs in its CPU's thread, not before threads may run there")
{
	static struct irq_work lazy, hard;

	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (unsigned int i = 0; i < 2; i++) {
			unsigned int cpu = i ? num_online_cpus() - 1 : 0;

			init_irq_work_lazy(&lazy, note_where);
			ran_in[0] = 0;
			run_in((enum context)ctx, cpu, queue_here, &lazy);
			irq_work_sync(&lazy);
			EXPECT(!strcmp(ran_in, "lazy") && ran_on == cpu && ran_context == CTX_THREAD);
		}
	init_irq_work(&hard, note_where);
	irq_work_queue_on(&hard, 0);
	irq_work_sync(&hard);
	EXPECT_EQ(ran_context, CTX_IRQ);
	preempt_disable();
	ran_in[0] = 0;
	irq_work_queue(&lazy);
	for (unsigned int i = 0; i < 1000; i++)
		cpu_relax();
	EXPECT(!ran_in[0]);
	preempt_enable();
	irq_work_sync(&lazy);
	EXPECT(ran_in[0]);
}

#define OBJECTS 1200

static void *objects[OBJECTS];

static void free_rest(void *n)
{
	for (u64 i = (u64)n; i < (u64)n + 20; i++)
		kfree_nolock(objects[i]);
}

TEST(rt, deferred_frees, "frees that an NMI defers are served by the thread, and while it may not run they wait")
{
	u64 kept = mm_kept_of(64), was;
	struct mm_stats st;

	REQUIRE(kept + 20 <= OBJECTS);
	for (u64 i = 0; i < kept + 20; i++)
		objects[i] = kmalloc(64, GFP_KERNEL);
	mm_quiesce();
	preempt_disable();
	for (u64 i = 0; i < kept; i++)
		kfree(objects[i]);
	mm_get_stats(&st);
	was = st.deferred;
	run_in(CTX_NMI, 0, free_rest, (void *)kept);
	for (unsigned int i = 0; i < 1000; i++)
		cpu_relax();
	mm_get_stats(&st);
	EXPECT(st.deferred > was);
	EXPECT_EQ(defer_count(0), st.deferred - was);
	preempt_enable();
	defer_settle();
	EXPECT_EQ(defer_count(0), 0);
}

/* ---- the long ways are preempted ---- */
static u32 in_call, stop;
static u64 woken, inside_call, longest_wait, longest_call, calls;
static volatile u64 woken_at;

static int urgent(void *arg)
{
	(void)arg;
	while (!kthread_should_stop()) {
		u64 at;

		park();
		at = woken_at;
		if (!at)
			continue;
		woken_at = 0;
		woken++;
		inside_call += READ_ONCE(in_call);
		at = arch_rdtsc() - at;
		longest_wait = at > longest_wait ? at : longest_wait;
	}
	return 0;
}

static void wake_urgent(struct regs *r)
{
	(void)r;
	if (smp_processor_id() || woken_at)
		return;
	woken_at = arch_rdtsc();
	wake_up_process(high);
}

/* There is no memory: each call looks at all there is, and gives back all it can. */
static int long_calls(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stop)) {
		u64 begun = arch_rdtsc();
		void *p;

		WRITE_ONCE(in_call, 1);
		p = kmalloc(KMALLOC_MAX_SIZE, GFP_NOWAIT);
		WRITE_ONCE(in_call, 0);
		begun = arch_rdtsc() - begun;
		longest_call = begun > longest_call ? begun : longest_call;
		calls++;
		kfree(p);
	}
	return 0;
}

TEST(rt, long_ways_preempted, "a thread of high priority, woken while another is in the allocator's longest call, runs inside it")
{
	u64 start;

	woken = inside_call = longest_wait = longest_call = calls = 0;
	stop = in_call = 0;
	woken_at = 0;
	high = kthread_run_on_cpu(urgent, NULL, 0, "urgent");
	low = kthread_create_on_cpu(long_calls, NULL, 0, "long");
	REQUIRE(high && low);
	sched_set_priority(high, PRIO_HIGHEST);
	sched_set_priority(current_task(), PRIO_NORMAL + 2);
	ballast_take(0);
	set_tick_hook(wake_urgent);
	wake_up_process(low);
	start = tick_number(0);
	while (tick_number(0) - start < 3000 && (inside_call < 50 || calls < 50))
		schedule_timeout(20);
	set_tick_hook(NULL);
	hook_sync();
	WRITE_ONCE(stop, 1);
	kthread_join(low);
	kthread_stop(high);
	ballast_give();
	sched_set_priority(current_task(), PRIO_NORMAL);
	EXPECT(inside_call > 0);
	test_note("woken %lu times, %lu of them ran inside one of %lu calls", woken, inside_call, calls);
	test_note("the longest call %lu cycles, the longest wait %lu", longest_call, longest_wait);
}

/* ---- memory for interrupts and NMIs, whoever was preempted where ---- */
static u64 irq_calls, nmi_calls, nulls;

static void take_and_give(u64 *count)
{
	static const size_t sizes[] = { 64, 4096, 192, 20000 };
	size_t size = sizes[__atomic_fetch_add(count, 1, __ATOMIC_RELAXED) % ARRAY_SIZE(sizes)];
	void *p = kmalloc_nolock(size, 0, NUMA_NO_NODE);

	if (!p)
		__atomic_fetch_add(&nulls, 1, __ATOMIC_RELAXED);
	kfree_nolock(p);
}

static void memory_in_tick(struct regs *r)
{
	(void)r;
	take_and_give(&irq_calls);
	arch_send_nmi(smp_processor_id());
}

static void memory_in_nmi(struct regs *r)
{
	(void)r;
	take_and_give(&nmi_calls);
}

static int churn(void *arg)
{
	(void)arg;
	while (!READ_ONCE(stop)) {
		struct page *p = alloc_pages(GFP_NOWAIT, 10), *q = alloc_pages(GFP_NOWAIT, 9);
		void *o = kmalloc(8192, GFP_KERNEL);

		free_pages(p, 10);
		mm_begin();
		flush_cpu();
		mm_end();
		kfree(o);
		free_pages(q, 9);
	}
	return 0;
}

TEST(rt, hard_contexts, "interrupts and NMIs get memory, never NULL, while threads in the long ways preempt each other")
{
	struct task *t[6];
	u64 start = tick_number(0);

	irq_calls = nmi_calls = nulls = 0;
	stop = 0;
	sched_set_priority(current_task(), PRIO_HIGHEST);
	for (unsigned int i = 0; i < 6; i++) {
		t[i] = kthread_create_on_cpu(churn, NULL, i % num_online_cpus(), "churn");
		REQUIRE(t[i]);
		sched_set_priority(t[i], PRIO_NORMAL + i % 3);
		wake_up_process(t[i]);
	}
	set_nmi_hook(memory_in_nmi);
	set_tick_hook(memory_in_tick);
	while (tick_number(0) - start < 300) {
		sched_set_priority(t[tick_number(0) % 6], PRIO_NORMAL + (unsigned int)(tick_number(0) / 6 % 4));
		schedule_timeout(1);
	}
	set_tick_hook(NULL);
	hook_sync();
	set_nmi_hook(NULL);
	hook_sync();
	WRITE_ONCE(stop, 1);
	for (unsigned int i = 0; i < 6; i++)
		kthread_join(t[i]);
	sched_set_priority(current_task(), PRIO_NORMAL);
	EXPECT_EQ(nulls, 0);
	EXPECT(irq_calls > 0 && nmi_calls > 0);
	test_note("%lu calls in interrupts, %lu in NMIs", irq_calls, nmi_calls);
}
