/*
 * hotplug_inject.c - a CPU on its way offline, interrupted between any two of its
 * instructions, from its first flush until it sleeps, by debug exceptions whose handler
 * allocates, frees and defers: when cpu_down has returned the CPU holds nothing all the same.
 *
 * A breakpoint on that CPU stops it where it begins; from there it single-steps. Each run
 * has a few places, others than those before; with inject_full=1 runs go on until every
 * instruction has been one for every sort of handler.
 */
#include <anyctx/cpu.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/hotplug.h"
#include "tests/inject.h"
#include "tests/keep.h"
#include "tests/step.h"
#include "tests/test.h"

#define RUNS 6
#define KEPT 24 /* objects in a magazine, so that not all steps are flushing it */
#define PLACES 4 /* in one run */
#define LIMIT_NS 60000000000UL /* until it counts as not coming */

static unsigned int victim;
static struct kmem_cache *cache;
static void *objs[KEPT + 8];
static unsigned int nr;
static u64 steps, stride, first, made, sort, deferrals, nulls;
static bool asleep;

/* ---- what the handler does ---- */

static void some_objects(void)
{
	void *p = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE);

	nulls += !p;
	kmem_cache_free_nolock(cache, p);
	p = kmalloc_nolock(24, 0, NUMA_NO_NODE);
	nulls += !p;
	kfree_nolock(p);
}

static void some_pages(void)
{
	for (unsigned int order = 0; order < 4; order += 3) {
		struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, order);

		nulls += !page;
		free_pages_nolock(page, order);
	}
}

/* More frees than the magazine has room for. */
static void flood(void)
{
	u64 before = READ_ONCE(this_cpu_ptr(defer_counts)->queued);

	while (nr && READ_ONCE(this_cpu_ptr(defer_counts)->queued) == before)
		kmem_cache_free_nolock(cache, objs[--nr]);
	deferrals += READ_ONCE(this_cpu_ptr(defer_counts)->queued) != before;
}

static void (*const handlers[])(void) = { some_objects, some_pages, flood };

/* ---- when ---- */

static bool at_sleep(u64 rip)
{
	return rip - (u64)arch_park < 8;
}

/* Not more than so many: what a handler leaves may take longer to give back than the next
 * one is away. The last place is where it is about to sleep. */
static bool is_place(u64 rip)
{
	u64 past = steps - first;

	return (steps >= first && past % stride == 0 && past / stride < PLACES) || at_sleep(rip);
}

static bool on_trap(struct regs *r, u64 dr6)
{
	if (smp_processor_id() != victim)
		return false;
	if (!(dr6 & DR6_SINGLE_STEP)) {
		arch_hw_break_clear(0);
		r->rflags |= RFLAGS_TF;
		return true;
	}
	steps++;
	if (is_place(r->rip)) {
		handlers[(made + sort) % ARRAY_SIZE(handlers)]();
		made++;
	} else {
		arch_debug_undisturbed();
	}
	if (at_sleep(r->rip)) {
		__atomic_store_n(&asleep, true, __ATOMIC_RELEASE);
		r->rflags &= ~RFLAGS_TF;
	}
	return true;
}

/* No ticks either: by single steps a sequence would be longer than from one to the next. */
static void set_break(void *err)
{
	arch_timer_set(0);
	*(int *)err = arch_hw_break_set(0, mm_cpu_flush, HW_BREAK_EXEC, 1);
}

static bool break_possible(void)
{
	if (!arch_hw_break_set(0, mm_cpu_flush, HW_BREAK_EXEC, 1)) {
		arch_hw_break_clear(0);
		return true;
	}
	test_skip("no breakpoints here");
	return false;
}

/* ---- one run ---- */

static bool make_cache(void)
{
	cache = kmem_cache_create("hotplug-inject", 64, 0, 0, NULL);
	if (!cache)
		return false;
	cache->limit = KEPT;
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		magazine_setup(cache, cpu, &cache->magazines[cpu]);
	return true;
}

static bool prepare(void)
{
	while (nr < ARRAY_SIZE(objs)) {
		objs[nr] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objs[nr])
			return false;
		nr++;
	}
	return true;
}

static u64 deferred_waiting(void)
{
	struct mm_stats st;

	mm_get_stats(&st);
	return st.deferred - st.deferred_served;
}

static bool wait_asleep(void)
{
	u64 end = arch_ns() + LIMIT_NS;

	while (!__atomic_load_n(&asleep, __ATOMIC_ACQUIRE))
		if (arch_ns() > end)
			return false;
	return true;
}

/* With handlers at every so many steps, from the first one on; how long was it? */
static u64 run(u64 at, u64 every)
{
	int err = -1;

	if (!prepare())
		return 0;
	steps = 0;
	asleep = false;
	first = at;
	stride = every;
	set_trap_hook(on_trap);
	smp_call_function_single(victim, set_break, &err, true);
	EXPECT_EQ(err, 0);
	EXPECT_EQ(cpu_down(victim), 0);
	EXPECT(wait_asleep()); /* it takes the last few steps alone */
	set_trap_hook(NULL);
	hook_sync();
	EXPECT(!mm_cpu_holds(victim));
	EXPECT_EQ(deferred_waiting(), 0);
	EXPECT_EQ(cpu_up(victim), 0);
	return steps;
}

TEST(hotplug, inject, "a CPU that goes, interrupted at its instructions by handlers that allocate and free, holds nothing")
{
	u64 n, runs = 0;

	victim = hotplug_victim();
	if (!victim || !needs_magazines(64) || !step_possible() || !break_possible())
		return;
	test_frees_at_once();
	REQUIRE(make_cache());
	nr = 0;
	made = sort = deferrals = nulls = 0;
	n = run(~0UL, 1);
	for (sort = 0; sort < (inject_full ? ARRAY_SIZE(handlers) : 1); sort++)
		for (u64 at = 1; at <= n / PLACES + 1; at += inject_full ? 1 : n / (PLACES * RUNS) + 1) {
			run(at, n / PLACES + 1);
			runs++;
		}
	while (nr)
		kmem_cache_free(cache, objs[--nr]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
	EXPECT(n > 0 && runs > 0 && deferrals > 0);
	EXPECT_EQ(nulls, 0);
	test_note("%lu instructions, %lu runs, %lu times interrupted, %lu of them with frees deferred; %lu NULL", n,
		  runs, made, deferrals, nulls);
}
