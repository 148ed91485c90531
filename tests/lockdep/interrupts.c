/*
 * interrupts.c - tests of the lock checker: locks and interrupts, waiting for other
 * CPUs, and the checker's own tables under two CPUs.
 */
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "tests/finding/expect.h"
#include "tests/lockdep/misuse.h"

static unsigned int last_cpu(void)
{
	return num_online_cpus() - 1;
}

static void take(void *l)
{
	spin_lock(l);
	spin_unlock(l);
}

static void take_irqs_off(void *l)
{
	u64 flags = spin_lock_irqsave(l);

	spin_unlock_irqrestore(l, flags);
}

/* ---- interrupts on while it is held, and waited for in interrupts */

TEST(lockdep, interrupts, "a lock that interrupts wait for and a thread holds with interrupts on is reported, in either order")
{
	spinlock_t *l = fresh_lock(), *m = fresh_lock(), *fine = fresh_lock();

	findings_begin();
	run_in(CTX_THREAD, 0, take, l);
	expect_findings_in(CTX_IRQ, last_cpu(), take, l, 1,
			   (const char *const[]){ "lockdep: interrupts", lock_words(l), "is held with interrupts on",
						  "is waited for in interrupts", NULL });
	run_in(CTX_IRQ, 0, take, m);
	expect_findings_in(CTX_THREAD, last_cpu(), take, m, 1,
			   (const char *const[]){ "lockdep: interrupts", lock_words(m), "in irq:", NULL });
	run_in(CTX_IRQ, 0, take, fine);
	run_in(CTX_THREAD, last_cpu(), take_irqs_off, fine);
	expect_findings(0, NULL);
}

static void nest(void *arg)
{
	spinlock_t **pair = arg;
	u64 flags = spin_lock_irqsave(pair[0]);

	spin_lock(pair[1]);
	spin_unlock(pair[1]);
	spin_unlock_irqrestore(pair[0], flags);
}

TEST(lockdep, interrupts_by_chain, "the same through a chain of two edges, whichever of its parts comes last")
{
	findings_begin();
	for (unsigned int last = 0; last < 4; last++) {
		spinlock_t *l[3] = { fresh_lock(), fresh_lock(), fresh_lock() };

		for (unsigned int i = 1; i <= 4; i++) {
			unsigned int part = (last + i) % 4;

			expect_findings(0, NULL);
			if (part < 2)
				run_in(CTX_THREAD, last_cpu(), nest, &l[part]);
			else if (part == 2)
				run_in(CTX_IRQ, 0, take, l[0]);
			else
				run_in(CTX_THREAD, 0, take, l[2]);
		}
		expect_findings(1, (const char *const[]){ "lockdep: interrupts", lock_words(l[0]), lock_words(l[1]),
							  lock_words(l[2]), NULL });
	}
}

/* ---- waiting for other CPUs */

static void nothing(void *unused)
{
	(void)unused;
}

static void wait_irqs_off(void *l)
{
	u64 flags = arch_irq_save();

	spin_lock(l);
	spin_unlock(l);
	arch_irq_restore(flags);
}

static void call_with(spinlock_t *l)
{
	spin_lock(l);
	smp_call_function(nothing, NULL, true);
	spin_unlock(l);
}

TEST(lockdep, cross_call,
     "a call to other CPUs with a lock held that is waited for with interrupts off is reported, whichever comes last")
{
	spinlock_t *l = fresh_lock();

	findings_begin();
	run_in(CTX_THREAD, last_cpu(), wait_irqs_off, l);
	expect_findings(0, NULL);
	call_with(l);
	expect_findings(1, (const char *const[]){ "lockdep: interrupts", lock_words(l), "interrupts of other CPUs",
						  "is waited for with interrupts off", NULL });
	l = fresh_lock();
	call_with(l);
	expect_findings_in(CTX_IRQS_OFF, last_cpu(), take, l, 1,
			   (const char *const[]){ "lockdep: interrupts", lock_words(l), "interrupts of other CPUs",
						  "is waited for with interrupts off", NULL });
}

TEST(lockdep, allocation_waits, "so is an allocation that may wait, whether or not this one has to")
{
	struct kmem_cache *s = kmem_cache_create("lockdep-wait", 64, 0, 0, NULL);
	spinlock_t *l = fresh_lock();
	void *obj;

	findings_begin();
	REQUIRE(s);
	run_in(CTX_THREAD, last_cpu(), wait_irqs_off, l);
	spin_lock(l);
	obj = kmem_cache_alloc(s, GFP_ATOMIC);
	expect_findings(0, NULL);
	spin_unlock(l);
	kmem_cache_free(s, obj);
	kmem_cache_shrink(s); /* so that the next one goes the long way */
	spin_lock(l);
	kmem_cache_free(s, kmem_cache_alloc(s, GFP_KERNEL));
	spin_unlock(l);
	expect_findings(1, (const char *const[]){ "lockdep: interrupts", lock_words(l), "cache_alloc_unpaid+0x", NULL });
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(lockdep, call_takes_lock, "a lock that a called function takes, and that is held over a call: both are told")
{
	spinlock_t *l = fresh_lock();

	findings_begin();
	if (!last_cpu()) {
		test_skip("needs two CPUs");
		return;
	}
	smp_call_function_single(last_cpu(), take, l, true);
	expect_findings(0, NULL);
	spin_lock(l); /* interrupts wait for it, and it is held with interrupts on */
	expect_findings(1, (const char *const[]){ "lockdep: interrupts", NULL });
	smp_call_function(nothing, NULL, true);
	spin_unlock(l);
	expect_findings(1, (const char *const[]){ "lockdep: order", lock_words(l), "interrupts of other CPUs", NULL });
}

static void wait_for_calls(void *irqs_off)
{
	u64 flags = irqs_off ? arch_irq_save() : 0;

	lock_wait_service(&lock_interrupts); /* as a call says, and then panics */
	arch_irq_restore(flags);
}

static void calls_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	expect_findings_in(ctx, cpu, wait_for_calls, NULL, ctx != CTX_THREAD,
			   (const char *const[]){ "lockdep: context", "interrupts of other CPUs", NULL });
	if (ctx == CTX_THREAD)
		expect_findings_in(ctx, cpu, wait_for_calls, (void *)1, 1,
				   (const char *const[]){ "lockdep: context", "interrupts of other CPUs", NULL });
}

TEST(lockdep, wait_in_context, "waiting for other CPUs with interrupts off, and in each context but a thread, is reported")
{
	findings_begin();
	each_place(ALL_PLACES, calls_in, NULL);
}

static void take_in_thread(void *l)
{
	take_irqs_off(l);
}

TEST(lockdep, thread_takes_lock, "waiting for a thread's function with a lock held that it takes is reported")
{
	spinlock_t *l = fresh_lock();
	u64 flags;

	findings_begin();
	if (!last_cpu()) {
		test_skip("needs two CPUs");
		return;
	}
	cpu_thread_run(last_cpu(), take_in_thread, l);
	cpu_thread_wait(last_cpu());
	flags = spin_lock_irqsave(l);
	cpu_thread_wait(last_cpu());
	spin_unlock_irqrestore(l, flags);
	expect_findings(1, (const char *const[]){ "lockdep: order", lock_words(l), "take_in_thread+0x0", NULL });
}

/* ---- the tables, under two CPUs at once */

static spinlock_t *race[2];
static u32 together;

static void half_circle(void *unused)
{
	unsigned int me = smp_processor_id() != 0;
	spinlock_t *a = race[me], *b = race[!me];

	(void)unused;
	__atomic_fetch_add(&together, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&together, __ATOMIC_SEQ_CST) < 2)
		cpu_relax();
	/* What the locks would say; they themselves would wait for ever. */
	lock_taken(a, &a->site, LOCK_WAITED);
	lock_wait(b, &b->site);
	lock_release(a);
}

TEST(lockdep, circle_at_once, "two CPUs that make the two halves of a circle at once: one of them or both report it")
{
	findings_begin();
	if (!last_cpu()) {
		test_skip("needs two CPUs");
		return;
	}
	for (unsigned int i = 0; i < 8; i++) {
		u64 before = findings();

		race[0] = fresh_lock();
		race[1] = fresh_lock();
		together = 0;
		cpu_thread_run(1, half_circle, NULL);
		half_circle(NULL);
		cpu_thread_wait(1);
		EXPECT(findings() - before == 1 || findings() - before == 2);
	}
	findings_seen();
}
