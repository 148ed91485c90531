/*
 * misuse.c - tests of the lock checker: each wrong use of a lock is reported, from each
 * context where it can be, with what it is and where.
 */
#include "tests/lockdep/misuse.h"
#include <anyctx/preempt.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "tests/finding/expect.h"

#define FRESH 160

spinlock_t *fresh_lock(void)
{
	static spinlock_t locks[FRESH];
	static unsigned int used;

	if (used == FRESH)
		test_fail(__FILE__, __LINE__, "these tests run once a boot");
	return &locks[used++ % FRESH];
}

/* Of up to four locks at a time. */
const char *lock_words(const void *lock)
{
	static char words[4][24];
	static unsigned int next;
	char *w = words[next++ % 4];

	snprintf(w, sizeof(words[0]), "0x%lx", (u64)lock);
	return w;
}

static unsigned int last_cpu(void)
{
	return num_online_cpus() - 1;
}

struct misuse {
	void (*fn)(void *locks);
	u64 n; /* findings */
	const char *kind;
	bool second_named;
};

static void misuse_in(enum context ctx, unsigned int cpu, void *arg)
{
	const struct misuse *m = arg;
	spinlock_t *pair[2];

	pair[0] = fresh_lock();
	pair[1] = m->second_named ? fresh_lock() : pair[0];
	expect_findings_in(ctx, cpu, m->fn, pair, m->n,
			   (const char *const[]){ m->kind, lock_words(pair[0]), lock_words(pair[1]), NULL });
}

/* fn, with two fresh locks, in each of the places on the first and the last CPU. */
static void in_each(unsigned int places, void (*fn)(void *), u64 n, const char *kind, bool second_named)
{
	struct misuse m = { fn, n, kind, second_named };

	each_place(places, misuse_in, &m);
}

#define WAITING (1u << CTX_THREAD | 1u << CTX_IRQS_OFF | 1u << CTX_IRQ)
#define TRYING (1u << CTX_NMI | 1u << CTX_DEBUG)

/* ---- order */

static void one_then_other(spinlock_t *a, spinlock_t *b)
{
	u64 flags = spin_lock_irqsave(a);

	spin_lock(b);
	spin_unlock(b);
	spin_unlock_irqrestore(a, flags);
}

static void both_ways(void *arg)
{
	spinlock_t **pair = arg;

	one_then_other(pair[0], pair[1]);
	one_then_other(pair[1], pair[0]);
	one_then_other(pair[1], pair[0]); /* reported once */
}

TEST(lockdep, order, "two locks taken in both orders are reported, once, with both places, from threads and interrupts")
{
	findings_begin();
	in_each(WAITING, both_ways, 1, "lockdep: order", true);
	EXPECT(finding_says("both_ways") && finding_says("was waited for while"));
}

static spinlock_t *circle[3];

static void next_edge(void *arg)
{
	u64 i = (u64)arg;

	one_then_other(circle[i], circle[(i + 1) % 3]);
}

static void circle_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < 3; i++)
		circle[i] = fresh_lock();
	run_in(CTX_THREAD, 0, next_edge, (void *)0);
	run_in(CTX_IRQ, last_cpu(), next_edge, (void *)1);
	expect_findings(0, NULL);
	expect_findings_in(ctx, cpu, next_edge, (void *)2, 1,
			   (const char *const[]){ "lockdep: order", lock_words(circle[0]), lock_words(circle[1]),
						  lock_words(circle[2]), "in irq:", NULL });
}

TEST(lockdep, order_of_three, "a circle of three, closed in other contexts, of other CPUs: the whole chain is told")
{
	findings_begin();
	each_place(WAITING, circle_in, NULL);
}

/* ---- recursion */

static void same_class(void *arg)
{
	static spinlock_t two[2];

	(void)arg;
	for (unsigned int i = 0; i < 2; i++)
		spin_lock_init(&two[i]); /* here: one class */
	one_then_other(&two[0], &two[1]);
}

static void same_lock(void *arg)
{
	spinlock_t *l = *(spinlock_t **)arg;
	u64 flags = spin_lock_irqsave(l);

	lock_wait(l, &l->site); /* as spin_lock says, and would wait for ever */
	spin_unlock_irqrestore(l, flags);
}

static void same_class_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	expect_findings_in(ctx, cpu, same_class, NULL, 1,
			   (const char *const[]){ "lockdep: recursion", "tests/lockdep/misuse.c:", "same_class+0x", NULL });
}

TEST(lockdep, recursion, "waiting for a lock that is held, or another of its class, is reported")
{
	findings_begin();
	in_each(WAITING, same_lock, 1, "lockdep: recursion", false);
	each_place(WAITING, same_class_in, NULL);
}

/* ---- given back in the order in which they were taken */

static void first_taken_first(void *arg)
{
	spinlock_t **pair = arg;
	u64 flags = spin_lock_irqsave(pair[0]);

	spin_lock(pair[1]);
	spin_unlock(pair[0]);
	one_then_other(pair[2], pair[0]); /* with [1] held, and [0] not any more */
	spin_unlock(pair[1]);
	one_then_other(pair[0], pair[1]);
	arch_irq_restore(flags);
}

TEST(lockdep, any_order, "what was taken first may be given back first: then it counts as held no more, and the others still do")
{
	spinlock_t *l[3] = { fresh_lock(), fresh_lock(), fresh_lock() };

	findings_begin();
	run_in(CTX_THREAD, last_cpu(), first_taken_first, l); /* 0 1, 1 2; then 1 0 and 2 0, each a circle */
	expect_findings(2, (const char *const[]){ "lockdep: order", lock_words(l[0]), lock_words(l[2]), NULL });
	one_then_other(l[0], l[2]); /* 0 2, and 2 0 was seen */
	expect_findings(1, (const char *const[]){ "lockdep: order", lock_words(l[0]), lock_words(l[2]), NULL });
}

/* ---- where nothing may be waited for */

static void wait_here(void *arg)
{
	spinlock_t *l = *(spinlock_t **)arg;

	spin_lock(l);
	spin_unlock(l);
}

static void try_here(void *arg)
{
	spinlock_t *l = *(spinlock_t **)arg;

	EXPECT(spin_trylock(l));
	spin_unlock(l);
}

TEST(lockdep, context, "in NMIs and breakpoints a lock may be tried, and waiting for it is reported")
{
	findings_begin();
	in_each(TRYING, try_here, 0, "", false);
	in_each(TRYING, wait_here, 1, "lockdep: context", false);
	in_each(WAITING, wait_here, 0, "", false);
}

static spinlock_t *ctor_lock;

static void locking_ctor(void *obj)
{
	*(u64 *)obj = 7;
	spin_lock(ctor_lock);
	spin_unlock(ctor_lock);
}

static void alloc_first(void *s)
{
	kmem_cache_free_nolock(s, kmem_cache_alloc_nolock(s, 0, NUMA_NO_NODE));
}

static void ctor_in(enum context ctx, unsigned int cpu, void *unused)
{
	struct kmem_cache *s = kmem_cache_create("lockdep-ctor", 4000, 0, 0, locking_ctor);
	u64 before = findings();
	char where[48];

	(void)unused;
	ctor_lock = fresh_lock();
	REQUIRE(s);
	run_in(ctx, cpu, alloc_first, s);
	EXPECT(findings() > before); /* one an object of the slab */
	snprintf(where, sizeof(where), "CPU %u in %s waits for %s", cpu, context_name(context_of_place(ctx)),
		 lock_words(ctor_lock));
	EXPECT(finding_says("lockdep: context") && finding_says(where));
	EXPECT(finding_says("it holds lockdep-ctor"));
	EXPECT_EQ(kmem_cache_destroy(s), 0);
	findings_seen();
}

TEST(lockdep, in_allocator, "a lock that is waited for inside the allocator, by a constructor, is reported in each context")
{
	findings_begin();
	each_place(ALL_PLACES, ctor_in, NULL);
}

/* ---- not held, still held */

static void give_back(void *arg)
{
	spin_unlock(*(spinlock_t **)arg);
}

TEST(lockdep, not_held, "giving back a lock that is free, or another CPU's, is reported in each context and does nothing")
{
	spinlock_t *l = fresh_lock();

	findings_begin();
	in_each(ALL_PLACES, give_back, 1, "lockdep: not held", false);
	if (!last_cpu())
		return;
	spin_lock(l);
	expect_findings_in(CTX_THREAD, last_cpu(), give_back, &l, 1,
			   (const char *const[]){ "lockdep: not held", "spin_unlock+0x", lock_words(l), NULL });
	EXPECT(spin_is_locked(l));
	spin_unlock(l);
}

/* A lock that is held keeps the CPU. */
static void let_go(void *unused)
{
	(void)unused;
	preempt_enable();
}

static void keep(void *arg)
{
	EXPECT(spin_trylock(*(spinlock_t **)arg));
}

/* CPU 0's thread runs the cases: it ends nothing else. */
static void keep_in_case(void *arg)
{
	u64 mark = lock_mark();

	keep(arg);
	lock_ends("the case", mark);
}

static void keep_in(enum context ctx, unsigned int cpu, void *unused)
{
	static const char *const ends[NR_PLACES] = {
		[CTX_THREAD] = "ends a thread's function", [CTX_IRQS_OFF] = "ends a thread's function",
		[CTX_IRQ] = "ends an interrupt", [CTX_NMI] = "ends an NMI",
		[CTX_DEBUG] = "ends a breakpoint's handler",
	};
	bool of_case = !cpu && context_of_place(ctx) == CTX_THREAD;
	spinlock_t *l = fresh_lock();

	(void)unused;
	expect_findings_in(ctx, cpu, of_case ? keep_in_case : keep, &l, 1,
			   (const char *const[]){ "lockdep: still held", of_case ? "ends the case" : ends[ctx],
						  lock_words(l), of_case ? "keep_in_case+0x" : "keep+0x", NULL });
	spin_lock_init(l);
	run_in(CTX_THREAD, cpu, let_go, NULL);
}

TEST(lockdep, still_held, "a lock that an interrupt, NMI, breakpoint, thread's function or case has not given back is reported")
{
	findings_begin();
	each_place(ALL_PLACES, keep_in, NULL);
}
