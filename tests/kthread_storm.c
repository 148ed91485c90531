/*
 * kthread_storm.c - threads that allocate, fill, hand over, check and free while they are
 * moved about, preempted and interrupted by NMIs that do the same.
 */
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "kernel/task.h"
#include "kernel/tick.h"
#include "lib/random.h"
#include "mm/mm.h"
#include "tests/test.h"

#define THREADS 8
#define SLOTS 256
#define RUN_TICKS 400

/* What lies in a slot: a block, whose first and last word are its address and size. */
static u64 *slots[SLOTS];
static u64 rounds, nmi_rounds, moves, wrong, nulls, done;
static u64 seen[NR_CPUS];

static size_t pick_size(struct rng *r)
{
	static const size_t sizes[] = { 16, 40, 64, 96, 192, 512, 2048, 8192, 20000, 70000 };

	return sizes[rng_below(r, ARRAY_SIZE(sizes))];
}

static u64 *make(struct rng *r)
{
	size_t size = pick_size(r) & ~7UL;
	u64 *p = kmalloc_nolock(size, 0, NUMA_NO_NODE);

	if (!p) {
		__atomic_fetch_add(&nulls, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	WRITE_ONCE(p[0], (u64)p ^ size);
	WRITE_ONCE(p[size / 8 - 1], (u64)p ^ size);
	return p;
}

static void end(u64 *p)
{
	u64 size;

	if (!p)
		return;
	size = READ_ONCE(p[0]) ^ (u64)p;
	if (size > 70000 || READ_ONCE(p[size / 8 - 1]) != ((u64)p ^ size))
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	else
		WRITE_ONCE(p[0], 0);
	kfree_nolock(p);
}

static void round_of(struct rng *r)
{
	end(__atomic_exchange_n(&slots[rng_below(r, SLOTS)], make(r), __ATOMIC_ACQ_REL));
}

static int storm(void *arg)
{
	struct rng r;
	u64 me = (u64)arg;

	rng_init(&r, me + 1);
	while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE)) {
		for (unsigned int i = 0; i < 50; i++)
			round_of(&r);
		__atomic_fetch_add(&rounds, 50, __ATOMIC_RELAXED);
		__atomic_fetch_add(&seen[smp_processor_id()], 1, __ATOMIC_RELAXED);
		if (!(rng_below(&r, 4)))
			kthread_set_cpu(current_task(), (int)rng_below(&r, num_online_cpus()));
		if (!(rng_below(&r, 16)))
			schedule_timeout(1);
	}
	return 0;
}

static DEFINE_PER_CPU(struct rng, nmi_rng);

static void in_nmi(struct regs *regs)
{
	(void)regs;
	round_of(this_cpu_ptr(nmi_rng));
	__atomic_fetch_add(&nmi_rounds, 1, __ATOMIC_RELAXED);
}

static void drive(struct task **t)
{
	u64 start = tick_number(0);
	struct rng r;

	rng_init(&r, 99);
	while (tick_number(0) - start < RUN_TICKS) {
		kthread_set_cpu(t[rng_below(&r, THREADS)], (int)rng_below(&r, num_online_cpus()));
		sched_set_priority(t[rng_below(&r, THREADS)], PRIO_NORMAL + 1 + (unsigned int)rng_below(&r, 4));
		arch_send_nmi((unsigned int)rng_below(&r, num_online_cpus()));
		moves++;
		schedule_timeout(1);
	}
}

TEST(migrate, storm, "threads moved and preempted at random, and NMIs, share blocks of all sizes; none is lost or damaged")
{
	struct task *t[THREADS];

	rounds = nmi_rounds = moves = wrong = nulls = done = 0;
	for (unsigned int c = 0; c < num_online_cpus(); c++) {
		rng_init(per_cpu_ptr(nmi_rng, c), c + 1000);
		seen[c] = 0;
	}
	set_nmi_hook(in_nmi);
	for (u64 i = 0; i < THREADS; i++) {
		t[i] = kthread_run(storm, (void *)i, "storm");
		REQUIRE(t[i]);
	}
	sched_set_priority(current_task(), PRIO_HIGHEST);
	drive(t);
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < THREADS; i++)
		kthread_join(t[i]);
	sched_set_priority(current_task(), PRIO_NORMAL);
	set_nmi_hook(NULL);
	hook_sync();
	for (unsigned int i = 0; i < SLOTS; i++)
		end(slots[i]), slots[i] = NULL;
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(nulls, 0);
	for (unsigned int c = 0; c < num_online_cpus(); c++)
		EXPECT(seen[c] > 0);
	test_note("%lu rounds in threads, %lu in NMIs, %lu moves and as many changes of priority asked from outside", rounds,
		  nmi_rounds, moves);
}
