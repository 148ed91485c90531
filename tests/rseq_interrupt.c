/*
 * rseq_interrupt.c - restartable sequences against interrupts that use the same magazine,
 * at every instruction. inject.c's calls come in debug exceptions and NMIs; each way out of
 * the kernel has to send a sequence back by itself.
 *
 * A step that does nothing else raises an IPI of this CPU, which comes as soon as the step
 * returns, before the next instruction.
 */
#include <anyctx/irq_work.h>
#include <arch/debug.h>
#include "mm/internal.h"
#include "tests/keep.h"
#include "tests/step.h"
#include "tests/test.h"

static struct kmem_cache *cache;
static void *ours, *theirs; /* the interrupted call's object, and the interrupt's */
static struct irq_work work;
static u64 step, raise_at, taken;

static void take(void *unused)
{
	(void)unused;
	ours = kmem_cache_alloc(cache, GFP_NOWAIT);
}

static void give(void *unused)
{
	(void)unused;
	kmem_cache_free(cache, ours);
}

static void take_there(struct irq_work *w)
{
	(void)w;
	taken++;
	theirs = kmem_cache_alloc(cache, GFP_NOWAIT);
}

static void give_there(struct irq_work *w)
{
	(void)w;
	taken++;
	kmem_cache_free(cache, theirs);
	theirs = NULL;
}

static void at_step(struct regs *r)
{
	(void)r;
	if (++step == raise_at)
		irq_work_queue(&work);
	arch_debug_undisturbed();
}

/* fn with the interrupt before its instruction number `at`; returns how many there are. */
static u64 interrupted(void (*fn)(void *), void (*there)(struct irq_work *), u64 at)
{
	u64 steps;

	init_irq_work(&work, there);
	step = 0;
	raise_at = at;
	steps = step_through(fn, NULL, at_step);
	irq_work_sync(&work);
	return steps;
}

/* The magazine holds some, in any order. */
static void fill(void)
{
	void *p[8];

	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		kmem_cache_free(cache, p[i]);
}

/* The shortest of some: the first one's way is longer, and a timer's may come in between. */
static u64 steps_of_take(void)
{
	u64 least = ~0UL;

	for (unsigned int i = 0; i < 5; i++) {
		u64 n = interrupted(take, take_there, 0);

		kmem_cache_free(cache, ours);
		least = n < least ? n : least;
	}
	return least;
}

TEST(rseq, by_interrupt, "an interrupt at every instruction of taking and giving: no object has two owners or is lost")
{
	u64 n, same = 0;

	if (!needs_magazines(64) || !step_possible())
		return;
	cache = kmem_cache_create("rseq", 64, 0, 0, NULL);
	REQUIRE(cache != NULL);
	fill();
	taken = 0;
	n = steps_of_take();
	for (u64 at = 1; at < n; at++) {
		theirs = NULL;
		interrupted(take, take_there, at);
		same += ours == theirs || !ours;
		interrupted(give, give_there, at);
		kmem_cache_free(cache, theirs); /* the call was shorter */
		same += magazine_count(cache, smp_processor_id()) > cache->limit;
		if (same)
			break;
	}
	EXPECT_EQ(same, 0);
	EXPECT(taken >= n);
	test_note("%lu instructions, %lu interrupts", n, taken);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
