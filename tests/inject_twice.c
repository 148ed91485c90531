/*
 * inject_twice.c - an object that is free is freed once more at each instruction of a call
 * that moves it: from magazine to slab, from slab to magazine, off the deferral stack, or out
 * of the hands of who is about to have it. It may be in the call's hands just then, where no
 * look finds it; it is reported all the same, by this CPU and by another, and is free once.
 *
 * While the object has no mark it is in use: then it is let be.
 */
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/cpu1.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/keep.h"
#include "tests/step.h"
#include "tests/test.h"

#define MANY 5

static void *victim, *obj, *objs[MANY];
static u64 tried;

static void free_again(void)
{
	u64 before = mm_reports();

	if (mark_get(victim, same->offset) != free_mark)
		return;
	tried++;
	kfree_nolock(victim);
	nested_want(mm_reports() - before == 1);
	/* Undone if it was taken for good, so that the other points tell something. */
	if (mm_reports() == before && kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE) == victim)
		object_give(same, victim, same->offset);
}

HERE_AND_THERE(free_again)

static const struct nested_call again_here = { "freed again here", free_again_here },
				again_there = { "freed again there", free_again_there };

static void sweep_twice(struct interrupted c)
{
	sweep_with(&c, &again_here, 1);
	c.elsewhere = true;
	if (num_online_cpus() > 1)
		sweep_with(&c, &again_there, 1);
}

static bool begin_twice(void)
{
	tried = 0;
	test_expect_reports(0); /* they are not printed */
	if (!states_begin())
		return false;
	cpu1_start();
	return true;
}

static void end_twice(void)
{
	cpu1_stop();
	states_end();
	EXPECT(tried > 0);
	test_expect_reports(tried);
	test_note("freed again %lu times", tried);
}

#define TWICE(name, proves, ...) \
	TEST(inject, twice_##name, proves) \
	{ \
		if (!needs_magazines(200) || !step_possible()) \
			return; \
		REQUIRE(begin_twice()); \
		__VA_ARGS__ \
		end_twice(); \
	}

/* ---- from the magazine into the slab ---- */

/* Four in the magazine, the victim among them. */
static void in_magazine(void)
{
	state_chain(2);
	state_magazine(2);
	victim = let_go();
	kmem_cache_free(same, victim);
	state_magazine(1);
}

static void flush(void *unused)
{
	(void)unused;
	magazine_flush(same, ~0UL);
}

static void magazine_full(void)
{
	in_magazine();
	state_magazine(SAME_LIMIT - 4);
	obj = let_go();
}

static void free_one(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(same, obj);
}

TWICE(flush, "a double free while the magazine that the object is in is flushed",
      sweep_twice((struct interrupted){ .state = in_magazine, .run = flush });
      sweep_twice((struct interrupted){ .state = magazine_full, .run = free_one });)

/* ---- out of the slab's chain ---- */

/* Five in the chain, the victim the k-th to be had, from 1. */
static void in_chain(unsigned int k)
{
	state_chain(0);
	state_tight(true);
	for (unsigned int i = MANY; i; i--) {
		obj = let_go();
		if (i == k)
			victim = obj;
		kmem_cache_free(same, obj);
	}
	state_tight(false);
}

static void first_in_chain(void)
{
	in_chain(1);
}

static void third_in_chain(void)
{
	in_chain(3);
}

static void first_in_chain_tight(void)
{
	in_chain(1);
	state_tight(true);
}

static void alloc_one(void *unused)
{
	(void)unused;
	obj = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
}

static bool settle_one(void)
{
	return hold(obj);
}

TWICE(refill, "a double free while the object goes into the magazine, or to who allocates it",
      sweep_twice((struct interrupted){ .state = third_in_chain, .run = alloc_one, .settle = settle_one });
      sweep_twice((struct interrupted){ .state = first_in_chain, .run = alloc_one, .settle = settle_one });
      sweep_twice((struct interrupted){ .state = first_in_chain_tight, .run = alloc_one, .settle = settle_one });)

/* ---- off the deferral stack ---- */

static void put_off(void)
{
	state_chain(2);
	state_deferred(1);
	victim = let_go();
	object_give(same, victim, same->offset);
	EXPECT(defer_free(victim));
	state_deferred(1);
}

static void serve(void *unused)
{
	(void)unused;
	defer_serve();
}

TWICE(deferred, "a double free while the frees that were put off are made, the object's among them",
      sweep_twice((struct interrupted){ .state = put_off, .run = serve });)

/* ---- many at once ---- */

static void many_used(void)
{
	state_chain(2);
	state_magazine(SAME_LIMIT - 2);
	for (unsigned int i = 0; i < MANY; i++)
		objs[i] = let_go();
	victim = objs[3];
}

static void free_many(void *unused)
{
	(void)unused;
	kmem_cache_free_bulk_nolock(same, MANY, objs);
}

static void alloc_many(void *unused)
{
	(void)unused;
	if (!kmem_cache_alloc_bulk_nolock(same, 0, NUMA_NO_NODE, MANY, objs))
		objs[0] = NULL;
}

static bool settle_many(void)
{
	bool ok = objs[0];

	for (unsigned int i = 0; ok && i < MANY; i++)
		ok = hold(objs[i]);
	return ok;
}

TWICE(bulk, "a double free while the object is one of many that are freed, or allocated, at once",
      sweep_twice((struct interrupted){ .state = many_used, .run = free_many });
      sweep_twice((struct interrupted){ .state = in_magazine, .run = alloc_many, .settle = settle_many });)

/* ---- while its first free is under way ---- */

static u64 early; /* before that free has noted that it has it */

static void free_beside(void)
{
	u64 before = mm_reports();

	if (mark_get(victim, same->offset) != free_mark)
		return;
	tried++;
	kfree_nolock(victim);
	if (mm_reports() != before)
		return;
	early++;
	nested_want(kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE) == victim);
	object_give(same, victim, same->offset);
}

static void beside(void *unused)
{
	(void)unused;
	on_cpu1(free_beside);
}

static void own_with_magazine_full(void)
{
	magazine_full();
	victim = obj;
}

/* From the mark to the note that the long way makes they are few instructions: what is freed
 * twice at the same instant can escape. */
TEST(inject, twice_first_free, "a double free on another CPU while the first one makes room in a full magazine")
{
	const struct nested_call there = { "freed again there", beside };

	if (!needs_magazines(200) || !step_possible())
		return;
	if (num_online_cpus() == 1) {
		test_skip("needs two CPUs");
		return;
	}
	REQUIRE(begin_twice());
	early = 0;
	sweep_with(&(struct interrupted){ .state = own_with_magazine_full, .run = free_one, .elsewhere = true }, &there, 1);
	EXPECT(early * 8 < tried);
	test_note("%lu of them too early", early);
	tried -= early;
	end_twice();
}

/* ---- moved while it is looked for ---- */

static u64 reports;

static void free_victim(void *unused)
{
	(void)unused;
	reports = mm_reports();
	tried++;
	kfree_nolock(victim);
}

static bool was_reported(void)
{
	return mm_reports() == reports + 1;
}

static void flush_nested(void *unused)
{
	flush(unused);
}

TWICE(looked_for, "a double free of an object that is moved into its slab while it is looked for",
      sweep_with(&(struct interrupted){ .state = in_magazine, .run = free_victim, .settle = was_reported,
					.stride = CONFIG_KASAN ? 100 : 1 }, /* there the shadow tells, and a report is long */
		 &(struct nested_call){ "flushed", flush_nested }, 1);)
