/*
 * hotplug.c - CPUs that go offline and come back: what they held is where all can reach it,
 * what was sent to them is not lost, what they had counted stays counted.
 *
 * The last CPU goes. Calls and work on their way to it: hotplug_calls.c; while all others
 * allocate: hotplug_storm.c; interrupted on its way: hotplug_inject.c; its threads:
 * kthread_hotplug.c.
 */
#include <anyctx/cpu.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/hotplug.h"
#include "kernel/run_in.h"
#include "tests/test.h"

#define LIMIT_NS 20000000000UL /* until something counts as not happening */

unsigned int hotplug_victim(void)
{
	unsigned int last = num_possible_cpus() - 1;

	if (!last)
		test_skip("needs two CPUs");
	return last;
}

unsigned int hotplug_victim_of_three(void)
{
	unsigned int last = hotplug_victim();

	if (last != 1)
		return last;
	test_skip("needs three CPUs");
	return 0;
}

/* ---- what it says ---- */

static u32 go_on;

static void until_told(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
		cpu_relax();
}

TEST(hotplug, says, "cpu_down and cpu_up say what they did; CPU 0 and a busy CPU stay; numbers of CPUs follow")
{
	unsigned int cpu = hotplug_victim(), all = num_online_cpus(), seen = 0, c;

	if (!cpu)
		return;
	EXPECT_EQ(cpu_down(0), -EBUSY);
	EXPECT_EQ(cpu_down(num_possible_cpus()), -EINVAL);
	EXPECT_EQ(cpu_up(~0u), -EINVAL);
	EXPECT_EQ(cpu_up(cpu), 0);
	go_on = 0;
	cpu_thread_run(cpu, until_told, NULL);
	EXPECT_EQ(cpu_down(cpu), -EBUSY);
	EXPECT(cpu_online(cpu));
	__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
	cpu_thread_wait(cpu);
	EXPECT_EQ(cpu_down(cpu), 0);
	EXPECT_EQ(cpu_down(cpu), 0);
	EXPECT(!cpu_online(cpu));
	EXPECT_EQ(num_online_cpus(), all - 1);
	EXPECT_EQ(num_possible_cpus(), all);
	for_each_online_cpu(c) {
		EXPECT(c != cpu);
		seen++;
	}
	EXPECT_EQ(seen, all - 1);
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT_EQ(num_online_cpus(), all);
}

/* ---- what it held ---- */

static const size_t sizes[] = { 8, 64, 96, 2048, 8192 };
#define OBJECTS 200

/* Full magazines, private pages of both sorts, and counts that are not 0. */
static void fill(void *unused)
{
	static void *p[OBJECTS];

	(void)unused;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned int k = 0; k < OBJECTS; k++)
			p[k] = kmalloc(sizes[i], GFP_ATOMIC);
		for (unsigned int k = 0; k < OBJECTS; k++)
			kfree(p[k]);
	}
	free_pages(alloc_pages(GFP_ATOMIC, 0), 0);
	free_pages(alloc_pages(GFP_ATOMIC, 2), 2);
}

static u64 objects_kept(unsigned int cpu)
{
	u64 n = 0;

	for (u32 i = 1; i <= NR_KMALLOC; i++)
		n += magazine_count(&caches[i], cpu);
	return n;
}

/* All pages there are, chained through their first words: how many were free then. */
static u64 take_and_give_all(void)
{
	u64 left, **chain = NULL;
	struct page *page;

	while ((page = alloc_pages_nolock(__GFP_NOWARN, NUMA_NO_NODE, 0))) {
		*(u64 **)page_address(page) = (u64 *)chain;
		chain = page_address(page);
	}
	left = nr_free_pages();
	while (chain) {
		u64 **next = (u64 **)*chain;

		kfree_nolock(chain);
		chain = next;
	}
	return left;
}

TEST(hotplug, gives_back, "objects and pages that a CPU kept are had by others when it is offline, to the last")
{
	unsigned int cpu = hotplug_victim();
	u64 objects, before, left, flags;

	if (!cpu)
		return;
	cpu_thread_run(cpu, fill, NULL);
	cpu_thread_wait(cpu);
	objects = objects_kept(cpu);
	EXPECT(mm_tight || !mm_keeps_pages() || mm_cpu_holds(cpu));
	before = nr_free_pages();
	REQUIRE(cpu_down(cpu) == 0);
	EXPECT(!mm_cpu_holds(cpu));
	EXPECT_EQ(objects_kept(cpu), 0);
	EXPECT_EQ(defer_count(cpu), 0);
	EXPECT(nr_free_pages() >= before);
	flags = arch_irq_save();
	left = take_and_give_all();
	arch_irq_restore(flags);
	EXPECT_EQ(left, 0);
	mm_quiesce();
	EXPECT_EQ(mm_check(), 0);
	EXPECT_EQ(cpu_up(cpu), 0);
	test_note("it kept %lu objects", objects);
	cpu_thread_run(cpu, fill, NULL);
	cpu_thread_wait(cpu);
	EXPECT(mm_tight || !mm_kept_of(64) || objects_kept(cpu) > 0);
}

static s64 pages_on(unsigned int cpu)
{
	return (s64)READ_ONCE(per_cpu_ptr(page_cpu, cpu)->allocated[PT_BLOCK]);
}

static void take_page(void *page)
{
	*(struct page **)page = alloc_pages_nolock(0, NUMA_NO_NODE, 0);
}

TEST(hotplug, counts, "what a CPU has counted counts while it is offline: allocated there, freed elsewhere")
{
	unsigned int cpu = hotplug_victim();
	struct page *page[NR_CONTEXT];
	struct mm_stats st, now;
	s64 here;

	if (!cpu)
		return;
	mm_quiesce();
	mm_get_stats(&st);
	here = pages_on(cpu);
	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		run_in((enum context)c, cpu, take_page, &page[c]);
	EXPECT_EQ(pages_on(cpu), here + NR_CONTEXT);
	REQUIRE(cpu_down(cpu) == 0);
	mm_get_stats(&now);
	EXPECT_EQ(now.block_pages, st.block_pages + NR_CONTEXT);
	EXPECT_EQ(now.pages_free, st.pages_free - NR_CONTEXT);
	EXPECT_EQ(mm_check(), 0);
	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		free_pages(page[c], 0);
	mm_get_stats(&now);
	EXPECT_EQ(now.pages_free, st.pages_free);
	EXPECT_EQ(cpu_up(cpu), 0);
}

/* ---- its share of memory ---- */

/* Lines that no CPU online searches first, of nodes that are some CPU's. */
static u64 lines_left_out(void)
{
	u64 n = 0;

	for (u64 line = 0; line < nr_lines; line++) {
		bool used = false, in_arena = false;
		unsigned int c;

		for_each_online_cpu(c) {
			const struct page_cpu *pc = per_cpu_ptr(page_cpu, c);
			bool home = line_node[line] == (s8)pc->home_node;

			used |= home;
			in_arena |= home && line >= pc->arena_first && line < pc->arena_end;
		}
		n += used && !in_arena;
	}
	return n;
}

TEST(hotplug, arena, "the memory that a CPU searches first is others' while it is offline, and its own after")
{
	unsigned int cpu = hotplug_victim();
	struct page_cpu was;

	if (!cpu)
		return;
	was = *per_cpu_ptr(page_cpu, cpu);
	for (unsigned int c = cpu; c; c--)
		REQUIRE(cpu_down(c) == 0);
	EXPECT_EQ(lines_left_out(), 0);
	for (unsigned int c = 1; c <= cpu; c++) {
		EXPECT_EQ(cpu_up(c), 0);
		EXPECT_EQ(lines_left_out(), 0);
	}
	EXPECT_EQ(per_cpu_ptr(page_cpu, cpu)->arena_first, was.arena_first);
	EXPECT_EQ(per_cpu_ptr(page_cpu, cpu)->arena_end, was.arena_end);
}

/* ---- caches made and destroyed meanwhile ---- */

static void one_object(void *s)
{
	void *p = kmem_cache_alloc(s, GFP_ATOMIC);

	EXPECT(p != NULL);
	kmem_cache_free(s, p);
}

TEST(hotplug, caches, "caches made, used, shrunk and destroyed while a CPU is offline work on it when it is back")
{
	unsigned int cpu = hotplug_victim();
	struct kmem_cache *before, *meanwhile;

	if (!cpu)
		return;
	before = kmem_cache_create("hotplug-before", 80, 0, 0, NULL);
	REQUIRE(before != NULL);
	EXPECT_EQ(smp_call_function_single(cpu, one_object, before, true), 0);
	REQUIRE(cpu_down(cpu) == 0);
	one_object(before);
	kmem_cache_shrink(before);
	EXPECT_EQ(kmem_cache_destroy(before), 0);
	meanwhile = kmem_cache_create("hotplug-meanwhile", 144, 0, 0, NULL);
	REQUIRE(meanwhile != NULL);
	one_object(meanwhile);
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT_EQ(smp_call_function_single(cpu, one_object, meanwhile, true), 0);
	EXPECT(mm_tight || !mm_kept_by(meanwhile) || magazine_count(meanwhile, cpu) > 0);
	EXPECT_EQ(kmem_cache_destroy(meanwhile), 0);
	EXPECT_EQ(magazine_count(meanwhile, cpu), 0);
}

/* ---- its interrupts ---- */

static u64 hook_ran[NR_CPUS];

static void count_nmi(struct regs *r)
{
	(void)r;
	__atomic_fetch_add(&hook_ran[smp_processor_id()], 1, __ATOMIC_RELAXED);
}

/* So many more NMIs to CPU 0, or a timer interrupts. */
static bool wait_more(const u64 *count, u64 n)
{
	u64 before = READ_ONCE(*count), end = arch_ns() + LIMIT_NS;

	while (READ_ONCE(*count) < before + n)
		if (arch_ns() > end)
			return false;
	return true;
}

TEST(hotplug, interrupts, "ticks and NMIs of all sources do nothing on a CPU that is offline, and come again after")
{
	unsigned int cpu = hotplug_victim();
	u64 ticks, nmis;

	if (!cpu)
		return;
	set_nmi_hook(count_nmi);
	nmi_source_set_hz(100);
	REQUIRE(cpu_down(cpu) == 0);
	ticks = per_cpu_ptr(irq_counts, cpu)->timer;
	nmis = READ_ONCE(hook_ran[cpu]);
	EXPECT(wait_more(&this_cpu_ptr(irq_counts)->timer, 20));
	EXPECT(wait_more(&hook_ran[0], 5));
	arch_send_nmi(cpu);
	EXPECT(wait_more(&hook_ran[0], 2));
	EXPECT_EQ(per_cpu_ptr(irq_counts, cpu)->timer, ticks);
	EXPECT_EQ(READ_ONCE(hook_ran[cpu]), nmis);
	EXPECT(!cpu_online(cpu) && !mm_cpu_holds(cpu));
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(wait_more(&per_cpu_ptr(irq_counts, cpu)->timer, 5));
	EXPECT(wait_more(&hook_ran[cpu], 3));
	nmi_source_set_hz(0);
	set_nmi_hook(NULL);
	hook_sync();
	test_note("NMIs by %s", nmi_source_name());
}

TEST(hotplug, watchdog, "the watchdog does not take a CPU that is offline for locked up, nor keep memory for it")
{
	unsigned int cpu = hotplug_victim();
	const struct watchdog_counts *c = per_cpu_ptr(watchdog_counts, cpu);
	s64 ms = watchdog_ms;
	u64 samples, lockups = READ_ONCE(c->lockups);

	if (!cpu)
		return;
	watchdog_ms = 200;
	watchdog_pause(false);
	EXPECT(wait_more(&c->samples, 3));
	REQUIRE(cpu_down(cpu) == 0);
	samples = READ_ONCE(c->samples);
	EXPECT(wait_more(&per_cpu_ptr(watchdog_counts, 0)->samples, 15)); /* ten are a period */
	EXPECT_EQ(READ_ONCE(c->samples), samples);
	EXPECT_EQ(cpu_up(cpu), 0);
	EXPECT(wait_more(&c->samples, 15));
	watchdog_pause(true);
	watchdog_ms = ms;
	EXPECT_EQ(READ_ONCE(c->lockups), lockups);
}
