/*
 * kthread_mutex.c - locks that threads sleep for: exclusion, whose turn it is, and who
 * inherits whose priority (rtmutex.h).
 */
#include <anyctx/rtmutex.h>
#include <anyctx/wait.h>
#include <arch/cpu.h>
#include "kernel/task.h"
#include "kernel/tick.h"
#include "tests/kthread_step.h"
#include "tests/step.h"
#include "tests/test.h"

static struct rt_mutex mutex;

/* ---- exclusion ---- */
#define ADDS 400
#define ADDERS 6

static u64 plain;

static int add_locked(void *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < ADDS; i++) {
		u64 n;

		rt_mutex_lock(&mutex);
		n = READ_ONCE(plain);
		if (i % 16 == 0)
			yield();
		if (i % 64 == 0)
			kthread_set_cpu(current_task(), (int)(i / 64 % num_online_cpus()));
		WRITE_ONCE(plain, n + 1);
		rt_mutex_unlock(&mutex);
	}
	EXPECT_EQ(task_prio(current_task()), current_task()->prio);
	return 0;
}

TEST(rtmutex, exclusion, "increments of a plain counter are all there, though the holder yields, and moves, in between")
{
	struct task *t[ADDERS];

	plain = 0;
	for (unsigned int i = 0; i < ADDERS; i++) {
		t[i] = kthread_run_on_cpu(add_locked, NULL, i % num_online_cpus(), "adds");
		REQUIRE(t[i]);
		sched_set_priority(t[i], PRIO_NORMAL + i % 3);
	}
	for (unsigned int i = 0; i < ADDERS; i++)
		kthread_join(t[i]);
	EXPECT_EQ(plain, ADDERS * ADDS);
	EXPECT(!rt_mutex_is_locked(&mutex));
	EXPECT(rt_mutex_trylock(&mutex));
	rt_mutex_unlock(&mutex);
}

/* ---- whose turn ---- */
static u32 turns[8], n_turns;

static int take_turn(void *arg)
{
	rt_mutex_lock(&mutex);
	turns[n_turns++] = (u32)(u64)arg;
	rt_mutex_unlock(&mutex);
	return 0;
}

/* Until it sleeps: `blocked_on` alone is there before its priority has gone down the chain. */
static void wait_blocked(const struct task *t)
{
	while (!READ_ONCE(t->blocked_on) || __atomic_load_n(&t->state, __ATOMIC_ACQUIRE) != TASK_PARKED)
		yield();
}

TEST(rtmutex, by_priority, "the lock goes to the waiter of the highest priority, of equals to the first; its owner inherits it")
{
	static const u32 prio[] = { 9, 20, 12, 20, 3 };
	static const u32 wanted[] = { 20, 120, 12, 9, 3 };
	struct task *t[ARRAY_SIZE(prio)];

	n_turns = 0;
	rt_mutex_lock(&mutex);
	for (u64 i = 0; i < ARRAY_SIZE(prio); i++) {
		u64 name = i == 3 ? 120 : prio[i];

		t[i] = kthread_create_on_cpu(take_turn, (void *)name, num_online_cpus() - 1, "turn");
		REQUIRE(t[i]);
		sched_set_priority(t[i], PRIO_HIGHEST); /* until it waits: this thread has inherited from others */
		wake_up_process(t[i]);
		wait_blocked(t[i]);
		sched_set_priority(t[i], prio[i]); /* also of one that waits */
	}
	EXPECT_EQ(task_prio(current_task()), 20);
	rt_mutex_unlock(&mutex);
	EXPECT_EQ(task_prio(current_task()), PRIO_NORMAL);
	for (unsigned int i = 0; i < ARRAY_SIZE(prio); i++)
		kthread_join(t[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(prio); i++)
		EXPECT_EQ(turns[i], wanted[i]);
}

/* ---- inversion ---- */
enum { LOW = 9, MIDDLE = 15, HIGH = 20 };
#define GIVE_UP 300 /* ticks, if it never ends */

static struct task *low, *middle, *high;
static struct completion locked;
static u32 high_done, prio_inside;
static u64 middle_rounds, rounds_before;

static int low_thread(void *arg)
{
	(void)arg;
	rt_mutex_lock(&mutex);
	complete(&locked);
	while (!READ_ONCE(high->blocked_on))
		cpu_relax();
	prio_inside = task_prio(current_task());
	rt_mutex_unlock(&mutex);
	EXPECT_EQ(task_prio(current_task()), LOW);
	return 0;
}

static int middle_thread(void *arg)
{
	u64 start = tick_number(0);

	(void)arg;
	while (!READ_ONCE(high_done) && tick_number(0) - start < GIVE_UP)
		middle_rounds++;
	return 0;
}

static int high_thread(void *arg)
{
	(void)arg;
	wait_for_completion(&locked);
	wake_up_process(middle);
	rt_mutex_lock(&mutex);
	rounds_before = middle_rounds;
	WRITE_ONCE(high_done, 1);
	rt_mutex_unlock(&mutex);
	return 0;
}

TEST(rtmutex, inversion, "a thread of middle priority that never sleeps keeps a higher one waiting for no moment")
{
	init_completion(&locked);
	high_done = prio_inside = 0;
	middle_rounds = 0;
	low = kthread_create_on_cpu(low_thread, NULL, 0, "low");
	middle = kthread_create_on_cpu(middle_thread, NULL, 0, "middle");
	high = kthread_create_on_cpu(high_thread, NULL, 0, "high");
	REQUIRE(low && middle && high);
	sched_set_priority(low, LOW);
	sched_set_priority(middle, MIDDLE);
	sched_set_priority(high, HIGH);
	wake_up_process(high);
	wake_up_process(low);
	kthread_join(high);
	kthread_join(middle);
	kthread_join(low);
	EXPECT_EQ(prio_inside, HIGH);
	EXPECT_EQ(rounds_before, 0);
}

/* ---- a chain ---- */
#define CHAIN 8

static struct rt_mutex chain[CHAIN + 1];
static struct completion first_may_end;
static u32 own_at_end;

/* Holds its lock, and waits for the one before. */
static int link(void *arg)
{
	u64 i = (u64)arg;

	rt_mutex_lock(&chain[i]);
	if (i) {
		rt_mutex_lock(&chain[i - 1]);
		rt_mutex_unlock(&chain[i - 1]);
	} else {
		wait_for_completion(&first_may_end);
	}
	rt_mutex_unlock(&chain[i]);
	__atomic_fetch_add(&own_at_end, task_prio(current_task()) == current_task()->prio, __ATOMIC_SEQ_CST);
	return 0;
}

static void expect_all(struct task *const *t, u32 prio)
{
	for (unsigned int i = 0; i < CHAIN; i++)
		EXPECT_EQ(task_prio(t[i]), prio > t[i]->prio ? prio : t[i]->prio);
}

TEST(rtmutex, chain, "priority goes down a chain of eight locks and threads, follows its changes, and is given back")
{
	struct task *t[CHAIN + 1];

	init_completion(&first_may_end);
	own_at_end = 0;
	for (u64 i = 0; i <= CHAIN; i++) {
		t[i] = kthread_create_on_cpu(link, (void *)i, (unsigned int)i % num_online_cpus(), "link");
		REQUIRE(t[i]);
		sched_set_priority(t[i], i == CHAIN ? 30 : PRIO_NORMAL + (u32)i % 4);
		wake_up_process(t[i]);
		if (i)
			wait_blocked(t[i]);
		else
			while (!rt_mutex_is_locked(&chain[0]))
				yield();
	}
	expect_all(t, 30);
	sched_set_priority(t[CHAIN], 25);
	expect_all(t, 25);
	sched_set_priority(t[CHAIN], 31);
	expect_all(t, 31);
	complete(&first_may_end);
	for (unsigned int i = 0; i <= CHAIN; i++)
		kthread_join(t[i]);
	EXPECT_EQ(own_at_end, CHAIN + 1);
}

/* ---- a change while it begins to wait ---- */
#define RAISE_POLLS 20000 /* the setter may have to wait for what is interrupted */

static struct task *beginner;
static u64 raise_at;
static u32 raise_now, raised, begin_go;

static void wait_raised(void)
{
	__atomic_store_n(&raise_now, 1, __ATOMIC_RELEASE);
	for (unsigned int i = 0; i < RAISE_POLLS && !__atomic_load_n(&raised, __ATOMIC_ACQUIRE); i++)
		cpu_relax();
}

static void lock_unlock(void *arg)
{
	(void)arg;
	rt_mutex_lock(&mutex);
	rt_mutex_unlock(&mutex);
}

static int begin_to_wait(void *arg)
{
	(void)arg;
	while (!kthread_should_stop()) {
		if (__atomic_load_n(&begin_go, __ATOMIC_ACQUIRE)) {
			disturbed_at(raise_at, lock_unlock, wait_raised);
			__atomic_store_n(&begin_go, 0, __ATOMIC_RELEASE);
		}
		yield();
	}
	return 0;
}

/* False: it slept before it came to that instruction. *missed: its owner has not got the
 * priority that it has been given. */
static bool raised_behind(u64 n, u64 *missed)
{
	bool there;

	sched_set_priority(beginner, LOW);
	raise_now = raised = 0;
	raise_at = n;
	rt_mutex_lock(&mutex);
	__atomic_store_n(&begin_go, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&raise_now, __ATOMIC_ACQUIRE) &&
	       !(READ_ONCE(beginner->blocked_on) && __atomic_load_n(&beginner->state, __ATOMIC_ACQUIRE) == TASK_PARKED))
		yield();
	there = READ_ONCE(raise_now);
	if (there) {
		sched_set_priority(beginner, PRIO_HIGHEST);
		__atomic_store_n(&raised, 1, __ATOMIC_RELEASE);
		wait_blocked(beginner);
		*missed += task_prio(current_task()) != PRIO_HIGHEST;
	}
	rt_mutex_unlock(&mutex);
	while (__atomic_load_n(&begin_go, __ATOMIC_ACQUIRE))
		yield();
	return there;
}

TEST(rtmutex, raised_while_it_begins,
     "a priority that changes at any instruction of beginning to wait is the owner's when the thread sleeps")
{
	u64 n = 0, missed = 0;

	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	if (!step_possible())
		return;
	begin_go = 0;
	beginner = kthread_run_on_cpu(begin_to_wait, NULL, 1, "beginner");
	REQUIRE(beginner);
	steps_begin();
	while (raised_behind(n + 1, &missed))
		n++;
	steps_end();
	kthread_stop(beginner);
	test_note("%lu instructions", n);
	EXPECT(n > 20);
	EXPECT_EQ(missed, 0);
	EXPECT_EQ(task_prio(current_task()), PRIO_NORMAL);
}
