/*
 * locks.c - tests of spinlocks, local locks, hooks and the CPUs' threads.
 */
#include <anyctx/local_lock.h>
#include <anyctx/spinlock.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "tests/step.h"
#include "tests/test.h"

static spinlock_t lock = SPINLOCK_INIT;
static spinlock_t irq_lock = SPINLOCK_INIT; /* interrupts take it */
static u64 shared, points, held_points, wrong;

/* ---- trylock against the interrupted holder, at every instruction ---- */
static void lock_and_unlock(void *arg)
{
	u64 flags;

	(void)arg;
	spin_lock(&lock);
	shared++;
	spin_unlock(&lock);
	flags = spin_lock_irqsave(&lock);
	shared++;
	spin_unlock_irqrestore(&lock, flags);
}

/* Interrupted anywhere: trylock succeeds exactly if nobody holds the lock. */
static void try_here(struct regs *r)
{
	bool held = spin_is_locked(&lock), got = spin_trylock(&lock);

	(void)r;
	points++;
	held_points += held;
	wrong += got == held;
	if (got)
		spin_unlock(&lock);
}

TEST(locks, trylock_every_instruction,
     "spin_trylock at every instruction of lock and unlock succeeds exactly if it is free, on one CPU too")
{
	if (!step_possible())
		return;
	points = held_points = wrong = shared = 0;
	step_through(lock_and_unlock, NULL, try_here);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(shared, 2);
	EXPECT(held_points > 4 && points > held_points + 4);
	EXPECT(!spin_is_locked(&lock));
	test_note("%lu points, the lock held at %lu", points, held_points);
}

static volatile u64 nmis;

static void try_in_nmi(struct regs *r)
{
	try_here(r);
	nmis++;
}

static bool wait_for_nmi(u64 n)
{
	for (u64 i = 0; i < 20000000 && nmis < n; i++)
		cpu_relax();
	return nmis >= n;
}

TEST(locks, trylock_in_nmi, "spin_trylock in an NMI fails while the interrupted thread holds the lock")
{
	points = held_points = wrong = nmis = 0;
	set_nmi_hook(try_in_nmi);
	for (u64 i = 1; i <= 100; i++) {
		spin_lock(&lock);
		arch_send_nmi(smp_processor_id());
		EXPECT(wait_for_nmi(2 * i - 1));
		spin_unlock(&lock);
		arch_send_nmi(smp_processor_id());
		EXPECT(wait_for_nmi(2 * i));
	}
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(held_points, 100);
}

/* ---- exclusion between CPUs ---- */
#define ROUNDS 3000

static void add_locked(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		spin_lock(&lock);
		WRITE_ONCE(shared, READ_ONCE(shared) + 1);
		spin_unlock(&lock);
	}
}

TEST(locks, spin_exclusion, "increments of a plain counter under the lock are all there, from all CPUs")
{
	shared = 0;
	on_each_cpu_thread(add_locked, NULL);
	EXPECT_EQ(shared, (u64)ROUNDS * num_online_cpus());
}

static DEFINE_PER_CPU(u64, tick_adds);

static void add_in_tick(struct regs *r)
{
	u64 flags = spin_lock_irqsave(&irq_lock);

	(void)r;
	WRITE_ONCE(shared, READ_ONCE(shared) + 1);
	spin_unlock_irqrestore(&irq_lock, flags);
	this_cpu_add64(tick_adds, 1);
}

static void add_irqsave(void *arg)
{
	u64 end = arch_ns() + 200000000;

	while (arch_ns() < end) {
		u64 flags = spin_lock_irqsave(&irq_lock);

		WRITE_ONCE(shared, READ_ONCE(shared) + 1);
		spin_unlock_irqrestore(&irq_lock, flags);
		__atomic_fetch_add((u64 *)arg, 1, __ATOMIC_RELAXED);
	}
}

TEST(locks, irqsave_exclusion, "irqsave excludes the timer interrupt of every CPU")
{
	u64 adds = 0, ticks = 0;

	shared = 0;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		*per_cpu_ptr(tick_adds, cpu) = 0;
	set_tick_hook(add_in_tick);
	on_each_cpu_thread(add_irqsave, &adds);
	set_tick_hook(NULL);
	hook_sync();
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		ticks += *per_cpu_ptr(tick_adds, cpu);
	EXPECT_EQ(shared, adds + ticks);
	EXPECT(ticks > 0);
	EXPECT(!arch_irqs_disabled());
	test_note("%lu in threads, %lu in interrupts", adds, ticks);
}

/* ---- local locks ---- */
static DEFINE_PER_CPU(local_trylock_t, local_try);
static DEFINE_PER_CPU(local_lock_t, local_plain);

static void take_local(void *arg)
{
	u64 flags = local_trylock_lock_irqsave(&local_try);

	(void)arg;
	shared++;
	local_trylock_unlock_irqrestore(&local_try, flags);
	if (local_trylock_irqsave(&local_try, &flags)) {
		shared++;
		local_trylock_unlock_irqrestore(&local_try, flags);
	}
}

static void try_local_here(struct regs *r)
{
	u64 flags;
	bool held = local_lock_is_locked(&local_try);
	bool got = local_trylock_irqsave(&local_try, &flags);

	(void)r;
	points++;
	held_points += held;
	wrong += got == held || !arch_irqs_disabled();
	if (got)
		local_trylock_unlock_irqrestore(&local_try, flags);
}

TEST(locks, local_trylock_every_instruction,
     "a local trylock at every instruction of its own critical sections fails exactly while it is held")
{
	if (!step_possible())
		return;
	points = held_points = wrong = shared = 0;
	step_through(take_local, NULL, try_local_here);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(shared, 2);
	EXPECT(held_points > 4 && points > held_points + 4);
	EXPECT(!local_lock_is_locked(&local_try));
	EXPECT(!arch_irqs_disabled());
	test_note("%lu points, the lock held at %lu", points, held_points);
}

static void take_and_look(void *arg)
{
	u64 *seen = arg, flags = local_lock_irqsave(&local_plain);

	*seen += arch_irqs_disabled();
	local_unlock_irqrestore(&local_plain, flags);
	*seen += !arch_irqs_disabled();
	flags = local_trylock_lock_irqsave(&local_try);
	*seen += local_lock_is_locked(&local_try);
	local_trylock_unlock_irqrestore(&local_try, flags);
}

TEST(locks, local_lock_is_per_cpu, "each CPU has its own local lock, held with interrupts off")
{
	u64 flags = local_trylock_lock_irqsave(&local_try);
	u64 seen = 0;

	EXPECT(local_lock_is_locked(&local_try));
	if (num_online_cpus() > 1) { /* held here, free there */
		cpu_thread_run(1, take_and_look, &seen);
		cpu_thread_wait(1);
		EXPECT_EQ(seen, 3);
	}
	local_trylock_unlock_irqrestore(&local_try, flags);
	seen = 0;
	take_and_look(&seen);
	EXPECT_EQ(seen, 3);
}

/* ---- hooks and threads ---- */
static volatile u64 hook_gate;

static void slow_hook(struct regs *r)
{
	(void)r;
	__atomic_fetch_add(&shared, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 2000; i++)
		cpu_relax();
	if (!hook_gate)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
	__atomic_fetch_sub(&shared, 1, __ATOMIC_SEQ_CST);
}

TEST(locks, hook_sync, "after hook_sync no CPU is in the old hook")
{
	shared = wrong = 0;
	for (int i = 0; i < 20; i++) {
		u64 until = arch_ns() + 5000000;

		hook_gate = 1;
		set_tick_hook(slow_hook);
		while (arch_ns() < until)
			cpu_relax();
		set_tick_hook(NULL);
		hook_sync();
		EXPECT_EQ(shared, 0);
		hook_gate = 0;
	}
	EXPECT_EQ(wrong, 0);
}

static u64 ran[NR_CPUS];

static void note_cpu(void *arg)
{
	EXPECT(arg == ran);
	EXPECT(!arch_irqs_disabled());
	__atomic_fetch_add(&ran[smp_processor_id()], 1, __ATOMIC_RELAXED);
}

TEST(locks, cpu_threads, "a function given to each CPU's thread runs there exactly once each time")
{
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		ran[cpu] = 0;
	for (int i = 0; i < 50; i++)
		on_each_cpu_thread(note_cpu, ran);
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		EXPECT_EQ(ran[cpu], cpu < num_online_cpus() ? 50 : 0);
}
