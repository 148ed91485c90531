/*
 * inject_debug.c - allocations and frees of debugged objects interrupted at every
 * instruction, and frees of the same object by two calls at once.
 */
#include <arch/debug.h>
#include "kernel/hooks.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/inject.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/slab_debug.h"
#include "tests/step.h"
#include "tests/test.h"
#include <anyctx/smp.h>

static void *obj; /* what the call returns, or frees */

static void alloc_object(void *unused)
{
	(void)unused;
	obj = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
}

static void free_object(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(same, obj);
}

static bool settle_alloc(void)
{
	return hold(obj);
}

static void in_chain(void)
{
	state_chain(same->objects / 2);
}

static void none(void)
{
	state_chain(0);
	page_flush_cpu();
}

static void used(void)
{
	state_chain(2);
	obj = let_go();
}

static void all_used(void)
{
	state_chain(0);
	obj = let_go();
}

/* These calls are long, most of it filling and comparing, and each point takes what comes
 * before it; inject_full=1 takes every place. */
#define PLACES_EVERY 160
#define PLACES_TWICE 60

static void sweep_debugged(const struct interrupted *c)
{
	struct interrupted some = *c;

	some.stride = inject_full ? 0 : PLACES_EVERY;
	state_flags = SLAB_DEBUG_FLAGS;
	sweep(&some);
	state_flags = 0;
}

#define ALLOC(name, make_state, proves) \
	TEST(inject, debug_alloc_##name, proves) \
	{ \
		sweep_debugged(&(struct interrupted){ .state = make_state, .run = alloc_object, .settle = settle_alloc }); \
	}
#define FREE(name, make_state, nmi, proves) \
	TEST(inject, debug_free_##name, proves) \
	{ \
		sweep_debugged(&(struct interrupted){ .state = make_state, .run = free_object, .in_nmi = nmi }); \
	}

ALLOC(chain, in_chain, "a debugged object out of a slab's chain, interrupted")
ALLOC(new_slab, none, "a debugged object of a new slab, interrupted")
FREE(chain, used, false, "a debugged object into its slab, interrupted")
FREE(first, all_used, false, "the first debugged object into a slab that was full, interrupted")
FREE(nmi, used, true, "a debugged object freed in an NMI, interrupted")

/* ---- the same object, by a nested call ---- */

static u64 step, free_at, reached;
static void *victim;

static void free_there(struct regs *r)
{
	(void)r;
	if (++step == free_at) {
		reached++;
		kfree_nolock(victim);
	} else {
		arch_debug_undisturbed();
	}
}

static void free_here(void *unused)
{
	(void)unused;
	kfree_nolock(victim);
}

/* Freed, and before instruction number `at` of that once more; returns how many there are. */
static u64 freed_within(u64 at)
{
	step = 0;
	free_at = at;
	return step_through(free_here, NULL, free_there);
}

TEST(inject, debug_twice, "an object freed again at any instruction of its free is reported once and free once")
{
	struct page *head;
	u64 n, every, idle, before, runs = 0;

	if (!step_possible())
		return;
	REQUIRE(debug_begin(SLAB_DEBUG_FLAGS, NULL));
	reached = 0;
	victim = debug_obj;
	debug_obj = NULL;
	head = obj_slab(victim);
	idle = ST_FREE(head->state);
	n = freed_within(0);
	every = inject_full ? 1 : n / PLACES_TWICE + 1;
	before = mm_reports();
	mm_reports_quiet(true);
	for (u64 at = 1; at < n; at += every) {
		debug_alloc(NULL);
		REQUIRE(debug_got == victim);
		freed_within(at);
		EXPECT_EQ(ST_FREE(head->state), idle + 1);
		runs++;
		test_expect_reports(reached);
		if (mm_reports() - before != reached) {
			test_fail(__FILE__, __LINE__, "instruction %lu of %lu: %lu reports, freed within %lu times", at, n,
				  mm_reports() - before, reached);
			break;
		}
	}
	test_note("%lu instructions, at %lu of them, %lu reached", n, runs, reached);
	EXPECT((runs - reached) * 10 <= runs); /* a sanitizer's runtime does not take the same steps each time */
	debug_end();
}

/* ---- the same object, by all CPUs at once ---- */

#define ROUNDS 100
static u32 ready, given;

/* Rounds are counted by arrivals, so that all go at the same moment. */
static void free_with_others(void *unused)
{
	u32 cpus = num_online_cpus();

	(void)unused;
	for (u32 round = 1; round <= ROUNDS; round++) {
		__atomic_add_fetch(&ready, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < round * cpus)
			cpu_relax();
		kfree_nolock(victim);
		__atomic_add_fetch(&given, 1, __ATOMIC_SEQ_CST);
		while (__atomic_load_n(&given, __ATOMIC_ACQUIRE) < round * cpus)
			cpu_relax();
		if (!smp_processor_id()) { /* the others wait for its arrival */
			debug_alloc(NULL);
			EXPECT(debug_got == victim);
		}
	}
}

TEST(inject, debug_twice_cpus, "an object that all CPUs free at the same instant is reported by all but one")
{
	u64 before = mm_reports(), others = num_online_cpus() - 1;

	if (!others) {
		test_skip("needs two CPUs");
		return;
	}
	REQUIRE(debug_begin(SLAB_DEBUG_FLAGS, NULL));
	test_expect_reports(others * ROUNDS);
	victim = debug_obj;
	debug_obj = NULL;
	ready = given = 0;
	on_each_cpu_thread(free_with_others, NULL);
	EXPECT_EQ(mm_reports() - before, others * ROUNDS);
	kmem_cache_free(debug_cache, victim);
	debug_end();
}
