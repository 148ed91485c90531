/*
 * kthread_hotplug_storm.c - CPUs go and come while threads on them are woken from everywhere,
 * sleep, allocate, and read what RCU protects: no wake-up, sleep, block or reader is lost.
 */
#include <anyctx/cpu.h>
#include <anyctx/rcupdate.h>
#include <anyctx/wait.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/task.h"
#include "kernel/tick.h"
#include "lib/random.h"
#include "mm/mm.h"
#include "tests/hotplug.h"
#include "tests/rcu_reader.h"
#include "tests/test.h"

#define THREADS 6
#define ROUNDS 25
#define LIMIT_TICKS 20000

static unsigned int victim;
static u32 stop;
static struct task *t[THREADS];

static bool begin_all(int (*fn)(void *), const char *name)
{
	stop = 0;
	for (u64 i = 0; i < THREADS; i++) {
		t[i] = kthread_create(fn, (void *)i, name);
		if (!t[i])
			return false;
		wake_up_process(t[i]);
	}
	return true;
}

/* Half of them are sent to the CPU that is back, so that they are there when it goes again. */
static void down_and_up(unsigned int round)
{
	for (unsigned int i = round & 1; i < THREADS; i += 2) {
		EXPECT_EQ(kthread_set_cpu(t[i], (int)victim), 0);
		schedule_timeout(round % 3);
		kthread_set_cpu(t[i], CPU_ANY);
	}
	EXPECT_EQ(cpu_down(victim), 0);
	for (unsigned int i = 0; i < THREADS; i++)
		EXPECT(task_cpu(t[i]) != victim);
	schedule_timeout(round % 4);
	EXPECT_EQ(cpu_up(victim), 0);
}

static void end_all(void)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < THREADS; i++)
		kthread_join(t[i]);
}

/* ---- wake-ups ---- */

static struct completion items[THREADS];
static u64 made[THREADS], taken[THREADS], from[NR_CONTEXT];

static int take(void *arg)
{
	u64 i = (u64)arg;

	for (;;) {
		wait_for_completion(&items[i]);
		if (__atomic_load_n(&stop, __ATOMIC_ACQUIRE))
			return 0;
		__atomic_fetch_add(&taken[i], 1, __ATOMIC_RELAXED);
	}
}

/* One at a time for each, so that it sleeps when the next one comes. */
static void make_some(void)
{
	for (unsigned int i = 0; i < THREADS; i++) {
		u64 n = __atomic_load_n(&made[i], __ATOMIC_RELAXED);

		if (__atomic_load_n(&taken[i], __ATOMIC_RELAXED) < n ||
		    !__atomic_compare_exchange_n(&made[i], &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			continue;
		__atomic_fetch_add(&from[current_context()], 1, __ATOMIC_RELAXED);
		complete(&items[i]);
	}
}

/* Every other tick leaves it to an NMI, which else would find that all is made. */
static void make_in_hook(struct regs *r)
{
	(void)r;
	if (current_context() == CTX_IRQ && tick_number(smp_processor_id()) & 1)
		arch_send_nmi(smp_processor_id());
	else
		make_some();
}

static bool all_taken(void)
{
	for (s64 left = LIMIT_TICKS; left; left--) {
		bool all = true;

		for (unsigned int i = 0; i < THREADS; i++)
			all &= __atomic_load_n(&taken[i], __ATOMIC_RELAXED) == made[i];
		if (all)
			return true;
		schedule_timeout(1);
	}
	return false;
}

TEST(hotplug, thread_wakes, "threads woken from ticks, NMIs and other CPUs while theirs goes and comes: no wake-up is lost")
{
	u64 sum = 0;

	victim = hotplug_victim();
	if (!victim)
		return;
	for (unsigned int i = 0; i < THREADS; i++) {
		init_completion(&items[i]);
		made[i] = taken[i] = 0;
	}
	from[CTX_IRQ] = from[CTX_NMI] = 0;
	REQUIRE(begin_all(take, "takes"));
	set_nmi_hook(make_in_hook);
	set_tick_hook(make_in_hook);
	for (unsigned int i = 0; i < 2 * ROUNDS; i++)
		down_and_up(i);
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	hook_sync();
	EXPECT(all_taken());
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < THREADS; i++) {
		complete_all(&items[i]);
		sum += taken[i];
		EXPECT(taken[i] > 0);
	}
	end_all();
	EXPECT(from[CTX_IRQ] > 0 && from[CTX_NMI] > 0);
	test_note("%lu wake-ups, of them %lu from ticks and %lu from NMIs", sum, from[CTX_IRQ], from[CTX_NMI]);
}

/* ---- sleeps ---- */

static u64 sleeps[THREADS];

static int sleep_often(void *arg)
{
	u64 me = (u64)arg;
	struct rng r;

	rng_init(&r, me + 7);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		sleep_ticks(1 + rng_below(&r, 6));
		__atomic_fetch_add(&sleeps[me], 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static bool sleeps_again(unsigned int i)
{
	u64 was = __atomic_load_n(&sleeps[i], __ATOMIC_RELAXED);

	for (s64 left = LIMIT_TICKS; __atomic_load_n(&sleeps[i], __ATOMIC_RELAXED) < was + 2; left--) {
		if (!left)
			return false;
		schedule_timeout(1);
	}
	return true;
}

TEST(hotplug, thread_sleeps, "threads that sleep for some ticks each while their CPU goes and comes all wake, and sleep on")
{
	victim = hotplug_victim();
	if (!victim)
		return;
	for (unsigned int i = 0; i < THREADS; i++)
		sleeps[i] = 0;
	REQUIRE(begin_all(sleep_often, "sleeps"));
	for (unsigned int i = 0; i < 2 * ROUNDS; i++) {
		down_and_up(i);
		for (unsigned int k = 0; k < THREADS; k++)
			EXPECT(sleeps_again(k));
	}
	end_all();
}

/* ---- memory ---- */

#define SLOTS 128

static u64 *slots[SLOTS];
static u64 allocs, frees, nulls, wrong, on_victim;

static u64 *make(struct rng *r)
{
	static const size_t sizes[] = { 16, 64, 192, 1024, 8192, 20000, 70000 };
	u64 *p = kmalloc(sizes[rng_below(r, ARRAY_SIZE(sizes))], GFP_NOWAIT);

	if (!p) {
		__atomic_fetch_add(&nulls, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	__atomic_fetch_add(&allocs, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(p[1], ~(u64)p);
	return p;
}

static void drop(u64 *p)
{
	if (!p)
		return;
	if (READ_ONCE(p[1]) != ~(u64)p)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(p[1], 0);
	__atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
	kfree_nolock(p);
}

static int allocate(void *arg)
{
	struct rng r;

	rng_init(&r, (u64)arg + 1);
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		for (unsigned int i = 0; i < 40; i++)
			drop(__atomic_exchange_n(&slots[rng_below(&r, SLOTS)], make(&r), __ATOMIC_ACQ_REL));
		if (smp_processor_id() == victim)
			__atomic_fetch_add(&on_victim, 1, __ATOMIC_RELAXED);
		if (!rng_below(&r, 8))
			schedule_timeout(1);
	}
	return 0;
}

TEST(hotplug, thread_storm, "threads allocate and free, and are moved as their CPU goes and comes: no block is lost, none is refused")
{
	struct mm_stats before, now;

	victim = hotplug_victim();
	if (!victim)
		return;
	mm_get_stats(&before);
	allocs = frees = nulls = wrong = on_victim = 0;
	REQUIRE(begin_all(allocate, "storm"));
	sched_set_priority(current_task(), PRIO_HIGHEST);
	for (unsigned int i = 0; i < ROUNDS; i++)
		down_and_up(i);
	end_all();
	sched_set_priority(current_task(), PRIO_NORMAL);
	for (unsigned int i = 0; i < SLOTS; i++) {
		drop(slots[i]);
		slots[i] = NULL;
	}
	mm_get_stats(&now);
	EXPECT_EQ(now.spurious_failures, before.spurious_failures);
	EXPECT_EQ(allocs, frees);
	EXPECT_EQ(nulls, 0);
	EXPECT_EQ(wrong, 0);
	EXPECT(on_victim > 0);
	test_note("%lu blocks allocated, %lu freed", allocs, frees);
}

/* ---- readers ---- */

struct shared {
	u64 word[8]; /* all equal */
	struct rcu_head head;
};
static struct shared *published;
static u64 reads, broken, replaced;

static int read_often(void *arg)
{
	(void)arg;
	while (!__atomic_load_n(&stop, __ATOMIC_ACQUIRE)) {
		const struct shared *s;

		rcu_read_lock();
		s = rcu_dereference(published);
		for (unsigned int i = 1; i < 8; i++)
			if (READ_ONCE(s->word[i]) != READ_ONCE(s->word[0]))
				__atomic_fetch_add(&broken, 1, __ATOMIC_RELAXED);
		rcu_read_unlock();
		__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
	}
	return 0;
}

static struct shared *make_shared(u64 number)
{
	struct shared *s = kmalloc(sizeof(*s), GFP_KERNEL);

	for (unsigned int i = 0; s && i < 8; i++)
		WRITE_ONCE(s->word[i], number);
	return s;
}

static void replace(void)
{
	struct shared *new = make_shared(++replaced), *old;

	EXPECT(new != NULL);
	if (!new)
		return;
	old = __atomic_exchange_n(&published, new, __ATOMIC_ACQ_REL);
	kfree_rcu(old, head);
}

TEST(hotplug, thread_readers, "readers that are preempted and moved as their CPU goes see whole objects, and grace periods end")
{
	victim = hotplug_victim();
	if (!victim)
		return;
	reads = broken = replaced = 0;
	published = make_shared(0);
	REQUIRE(published);
	REQUIRE(begin_all(read_often, "reads"));
	sched_set_priority(current_task(), PRIO_HIGHEST);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		replace();
		down_and_up(i);
		replace();
		synchronize_rcu();
	}
	end_all();
	sched_set_priority(current_task(), PRIO_NORMAL);
	kfree_rcu(published, head);
	rcu_barrier();
	EXPECT_EQ(broken, 0);
	EXPECT(reads > 0);
	test_note("%lu reads, %lu times replaced", reads, replaced);
}
