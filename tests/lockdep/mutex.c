/*
 * mutex.c - tests of the lock checker: mutexes, which threads sleep for and hold while
 * others run. What may only be done in threads is told without being done elsewhere.
 */
#include <anyctx/kthread.h>
#include <anyctx/rtmutex.h>
#include "kernel/hooks.h"
#include "tests/finding/expect.h"
#include "tests/lockdep/misuse.h"

#define FRESH 64

/* All zero, so each is its own class. */
static struct rt_mutex *fresh_mutex(void)
{
	static struct rt_mutex mutexes[FRESH];
	static unsigned int used;

	if (used == FRESH)
		test_fail(__FILE__, __LINE__, "these tests run once a boot");
	return &mutexes[used++ % FRESH];
}

static unsigned int last_cpu(void)
{
	return num_online_cpus() - 1;
}

#define THREAD (1u << CTX_THREAD)

static void take(void *m)
{
	rt_mutex_lock(m);
	rt_mutex_unlock(m);
}

/* ---- order */

static void one_then_other(struct rt_mutex *a, struct rt_mutex *b)
{
	rt_mutex_lock(a);
	take(b);
	rt_mutex_unlock(a);
}

static void both_ways(void *arg)
{
	struct rt_mutex **pair = arg;

	one_then_other(pair[0], pair[1]);
	one_then_other(pair[1], pair[0]);
	one_then_other(pair[1], pair[0]); /* reported once */
}

static void order_in(enum context ctx, unsigned int cpu, void *unused)
{
	struct rt_mutex *pair[2] = { fresh_mutex(), fresh_mutex() };

	(void)unused;
	expect_findings_in(ctx, cpu, both_ways, pair, 1,
			   (const char *const[]){ "lockdep: order", lock_words(pair[0]), lock_words(pair[1]),
						  "was waited for while", NULL });
}

TEST(lockdep, mutex_order, "two mutexes taken in both orders are reported, once, though nobody ever waits for one")
{
	findings_begin();
	each_place(THREAD, order_in, NULL);
	EXPECT(finding_says("both_ways"));
}

static void wait_holding(struct rt_mutex *m)
{
	rt_mutex_lock(m);
	cpu_thread_wait(last_cpu());
	rt_mutex_unlock(m);
}

TEST(lockdep, mutex_and_thread, "waiting for a CPU's thread with a mutex held that its function takes is reported")
{
	struct rt_mutex *m = fresh_mutex();

	findings_begin();
	if (!last_cpu()) {
		test_skip("needs two CPUs");
		return;
	}
	cpu_thread_run(last_cpu(), take, m);
	cpu_thread_wait(last_cpu());
	wait_holding(m);
	expect_findings(1, (const char *const[]){ "lockdep: order", lock_words(m), "take+0x0", NULL });
}

/* ---- it is the thread that holds it, not the CPU */

static struct rt_mutex *moved[3];
static bool holds, other_is_over;

static int hold_and_move(void *unused)
{
	(void)unused;
	rt_mutex_lock(moved[0]);
	WRITE_ONCE(holds, true);
	while (!READ_ONCE(other_is_over))
		yield();
	EXPECT_EQ(kthread_set_cpu(current_task(), (int)last_cpu()), 0);
	take(moved[1]);
	rt_mutex_unlock(moved[0]);
	return 0;
}

static int take_meanwhile(void *unused)
{
	(void)unused;
	while (!READ_ONCE(holds))
		yield();
	take(moved[2]);
	WRITE_ONCE(other_is_over, true);
	return 0;
}

TEST(lockdep, mutex_of_thread,
     "a thread holds its mutex on whichever CPU it goes on; another one, which runs where it did, does not")
{
	struct task *a, *b;

	findings_begin();
	for (unsigned int i = 0; i < 3; i++)
		moved[i] = fresh_mutex();
	holds = other_is_over = false;
	a = kthread_run_on_cpu(hold_and_move, NULL, 0, "holds");
	b = kthread_run_on_cpu(take_meanwhile, NULL, 0, "meanwhile");
	REQUIRE(a && b);
	kthread_join(a);
	kthread_join(b);
	one_then_other(moved[2], moved[0]);
	expect_findings(0, NULL);
	one_then_other(moved[1], moved[0]);
	expect_findings(1, (const char *const[]){ "lockdep: order", lock_words(moved[0]), lock_words(moved[1]),
						  "hold_and_move+0x", NULL });
}

/* ---- recursion */

static void same_mutex(void *m)
{
	rt_mutex_lock(m);
	lock_wait_sleeping(m, &((struct rt_mutex *)m)->site); /* as rt_mutex_lock says, and would wait for ever */
	rt_mutex_unlock(m);
}

static void same_class(void *unused)
{
	static struct rt_mutex two[2] = { [0 ... 1] = RT_MUTEX_INIT };

	(void)unused;
	one_then_other(&two[0], &two[1]);
}

static void recursion_in(enum context ctx, unsigned int cpu, void *unused)
{
	struct rt_mutex *m = fresh_mutex();

	(void)unused;
	expect_findings_in(ctx, cpu, same_mutex, m, 1,
			   (const char *const[]){ "lockdep: recursion", lock_words(m), "same_mutex+0x", NULL });
	expect_findings_in(ctx, cpu, same_class, NULL, 1,
			   (const char *const[]){ "lockdep: recursion", "tests/lockdep/mutex.c:", "same_class+0x", NULL });
}

TEST(lockdep, mutex_recursion, "waiting for a mutex that is held, or another of its class, is reported")
{
	findings_begin();
	each_place(THREAD, recursion_in, NULL);
}

/* ---- where nobody may sleep */

static void tell(void *arg)
{
	struct rt_mutex *m = arg;

	lock_wait_sleeping(m, &m->site);
}

static void take_under_spinlock(void *arg)
{
	static spinlock_t l;

	spin_lock(&l);
	take(arg);
	spin_unlock(&l);
}

static void take_keeping_cpu(void *arg)
{
	preempt_disable();
	take(arg);
	preempt_enable();
}

static void expect_no_sleep(enum context ctx, unsigned int cpu, void (*fn)(void *), const char *where,
			    const char *also)
{
	struct rt_mutex *m = fresh_mutex();

	expect_findings_in(ctx, cpu, fn, m, 1,
			   (const char *const[]){ "lockdep: context", lock_words(m), where,
						  ", where nobody may sleep", also, NULL });
	EXPECT(!rt_mutex_is_locked(m));
}

static void no_sleep_in(enum context ctx, unsigned int cpu, void *unused)
{
	static const char *const where[NR_PLACES] = {
		[CTX_IRQS_OFF] = "inside a place with interrupts off", [CTX_IRQ] = "inside an interrupt",
		[CTX_NMI] = "inside an NMI", [CTX_DEBUG] = "a breakpoint's handler",
	};

	(void)unused;
	if (ctx != CTX_THREAD) {
		expect_no_sleep(ctx, cpu, ctx == CTX_IRQS_OFF ? take : tell, where[ctx], NULL);
		return;
	}
	expect_findings_in(ctx, cpu, take, fresh_mutex(), 0, NULL);
	expect_no_sleep(ctx, cpu, take_under_spinlock, "inside a place that keeps its CPU", "it holds 0x");
	expect_no_sleep(ctx, cpu, take_keeping_cpu, "inside a place that keeps its CPU", NULL);
}

TEST(lockdep, mutex_context,
     "a mutex that is waited for where nobody may sleep is reported, in each context and under a spinlock, though it is free")
{
	findings_begin();
	each_place(ALL_PLACES, no_sleep_in, NULL);
}

static void try(void *m)
{
	EXPECT(rt_mutex_trylock(m));
	rt_mutex_unlock(m);
}

static void try_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	expect_findings_in(ctx, cpu, try, fresh_mutex(), 0, NULL);
}

TEST(lockdep, mutex_try, "a thread may try one with interrupts off, and hold it then")
{
	findings_begin();
	each_place(THREAD | 1u << CTX_IRQS_OFF, try_in, NULL);
}

/* ---- not held, still held */

static void give_back(void *m)
{
	rt_mutex_unlock(m);
}

static int give_back_thread(void *m)
{
	rt_mutex_unlock(m);
	return 0;
}

static void not_held_in(enum context ctx, unsigned int cpu, void *unused)
{
	struct rt_mutex *m = fresh_mutex();

	(void)unused;
	expect_findings_in(ctx, cpu, give_back, m, 1,
			   (const char *const[]){ "lockdep: not held", "rt_mutex_unlock+0x", lock_words(m), NULL });
}

TEST(lockdep, mutex_not_held, "giving back a mutex that is free, or another thread's, is reported and does nothing")
{
	struct rt_mutex *m = fresh_mutex();
	struct task *t;

	findings_begin();
	each_place(THREAD | 1u << CTX_IRQS_OFF, not_held_in, NULL);
	rt_mutex_lock(m);
	t = kthread_run_on_cpu(give_back_thread, m, 0, "not its own"); /* where it is held */
	REQUIRE(t);
	kthread_join(t);
	expect_findings(1, (const char *const[]){ "lockdep: not held", "rt_mutex_unlock+0x", lock_words(m), NULL });
	EXPECT(rt_mutex_is_locked(m));
	rt_mutex_unlock(m);
}

static int keep(void *m)
{
	rt_mutex_lock(m);
	return 0;
}

static void keep_in_function(void *m)
{
	keep(m);
}

static void kept_by_thread(unsigned int cpu)
{
	struct rt_mutex *m = fresh_mutex();
	struct task *t = kthread_run_on_cpu(keep, m, cpu, "keeps");

	REQUIRE(t);
	kthread_join(t);
	expect_findings(1, (const char *const[]){ "lockdep: still held", "ends a thread ", lock_words(m), "keep+0x", NULL });
}

TEST(lockdep, mutex_still_held, "a mutex that a thread has not given back when it ends is reported, and of a CPU's function")
{
	struct rt_mutex *m = fresh_mutex();

	findings_begin();
	kept_by_thread(0);
	if (!last_cpu())
		return;
	kept_by_thread(last_cpu());
	expect_findings_in(CTX_THREAD, last_cpu(), keep_in_function, m, 1,
			   (const char *const[]){ "lockdep: still held", "ends a thread's function", lock_words(m), NULL });
}
