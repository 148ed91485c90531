/*
 * shrink.c - kmem_cache_shrink: all that is free goes back, wherever it is: in full
 * magazines of any CPU, put off on one that takes no interrupts just then, in the hands of
 * another CPU's trim; and of a typesafe cache as well.
 */
#include <anyctx/irq_work.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/run_in.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/keep.h"
#include "tests/test.h"

#define MAX_OBJS 4096
#define SIZE 1024

static struct kmem_cache *cache;
static void *objs[MAX_OBJS];
static unsigned int nr;

static bool begin(unsigned int flags)
{
	cache = kmem_cache_create("shrink", SIZE, 0, flags, NULL);
	nr = 0;
	return cache;
}

static bool take(unsigned int n)
{
	while (n-- && nr < MAX_OBJS) {
		objs[nr] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objs[nr++])
			return false;
	}
	return nr < MAX_OBJS;
}

static u64 pages_of_cache(void)
{
	u64 n = 0;

	for (u64 pfn = 0; pfn < max_pfn; pfn++)
		n += pfn_page(pfn)->type == PT_SLAB && *frame_cache(pfn) == CPU_OFF(cache->id);
	return n;
}

/* Of nobody, and of the cache. While all its objects are in use no trim is under way. */
static u64 total;

static bool take_all(unsigned int n)
{
	bool ok = take(n);

	kmem_cache_shrink(cache);
	total = nr_free_pages() + pages_of_cache();
	return ok;
}

static void expect_all_back(void)
{
	kmem_cache_shrink(cache);
	EXPECT_EQ(nr_free_pages(), total);
	EXPECT_EQ(pages_of_cache(), 0);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		EXPECT_EQ(magazine_count(cache, cpu), 0);
		EXPECT_EQ(defer_count(cpu), 0);
	}
}

/* ---- full magazines ---- */

static void free_limit(void *unused)
{
	(void)unused;
	for (u64 i = 0; i < mm_kept_by(cache); i++)
		kmem_cache_free(cache, objs[--nr]);
}

static void check_full(unsigned int flags)
{
	REQUIRE(begin(flags));
	if (!needs_magazines_of(cache)) {
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
		return;
	}
	REQUIRE(take_all(num_online_cpus() * (unsigned int)mm_kept_by(cache)));
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		run_in(CTX_THREAD, cpu, free_limit, NULL);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		EXPECT_EQ(magazine_count(cache, cpu), mm_kept_by(cache));
	expect_all_back();
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(shrink, full_magazines, "a shrink gives back all that full magazines keep, of every CPU, to the last page")
{
	test_frees_at_once();
	check_full(0);
	check_full(SLAB_TYPESAFE_BY_RCU);
}

/* ---- deferred frees in flight ---- */

#define OVER 40

static u32 holding, go, ticks;

/* The CPU takes no interrupt until the shrink waits for it. */
static void hold_interrupts(void *unused)
{
	u64 flags = arch_irq_save();

	free_limit(unused);
	__atomic_store_n(&holding, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		cpu_relax();
	arch_irq_restore(flags);
}

static void free_one(void *obj)
{
	kfree_nolock(obj);
}

/* By then CPU 0, which has nothing else to do, waits for the others; one tick may have been pending. */
static void let_go(struct regs *r)
{
	(void)r;
	if (smp_processor_id() == 0 && ++ticks == 3)
		__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
}

static void check_deferred(unsigned int cpu, unsigned int flags)
{
	u64 irqs;

	REQUIRE(begin(flags));
	REQUIRE(take_all((unsigned int)mm_kept_by(cache) + OVER));
	holding = go = ticks = 0;
	if (cpu) {
		cpu_thread_run(cpu, hold_interrupts, NULL);
		while (!__atomic_load_n(&holding, __ATOMIC_ACQUIRE))
			cpu_relax();
	}
	irqs = arch_irq_save();
	if (!cpu)
		free_limit(NULL);
	while (nr)
		run_in(CTX_NMI, cpu, free_one, objs[--nr]);
	EXPECT_EQ(defer_count(cpu), OVER);
	set_tick_hook(let_go);
	arch_irq_restore(irqs);
	expect_all_back();
	set_tick_hook(NULL);
	hook_sync();
	if (cpu)
		cpu_thread_wait(cpu);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(shrink, deferred, "nor does a shrink leave what is put off on a CPU that takes no interrupts when it begins")
{
	if (!needs_magazines(SIZE))
		return;
	test_frees_at_once();
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		check_deferred(cpu, 0);
		check_deferred(cpu, SLAB_TYPESAFE_BY_RCU);
	}
}

/* ---- a slab in the hands of another CPU's trim ---- */

#define WORTH_A_TRIM 10UL /* empty slabs */
static unsigned int other;
static u32 in_hand, waited, returned;

static void until(const u32 *a, const u32 *b)
{
	while (!__atomic_load_n(a, __ATOMIC_ACQUIRE) && !__atomic_load_n(b, __ATOMIC_ACQUIRE))
		cpu_relax();
}

/*
 * The other CPU's trim is stopped with an empty slab in its hands, until the shrink waits
 * for trims, or has returned; this CPU, where it begins its own trim, until that is so.
 */
static bool at_break(struct regs *r, u64 dr6)
{
	(void)dr6;
	arch_debug_undisturbed();
	if (smp_processor_id() == other && !in_hand && r->rip == (u64)slab_release_if_empty &&
	    r->rdi == (u64)cache) {
		arch_hw_break_clear(0);
		__atomic_store_n(&in_hand, 1, __ATOMIC_RELEASE);
		until(&waited, &returned);
	} else if (!smp_processor_id() && r->rip == (u64)irq_work_sync) {
		__atomic_store_n(&waited, 1, __ATOMIC_RELEASE);
	} else if (!smp_processor_id() && r->rip == (u64)partial_trim) {
		until(&in_hand, &in_hand);
	}
	return true;
}

static void break_there(void *unused)
{
	(void)unused;
	EXPECT_EQ(arch_hw_break_set(0, slab_release_if_empty, HW_BREAK_EXEC, 1), 0);
}

static bool can_break(void)
{
	int err = arch_hw_break_set(0, can_break, HW_BREAK_EXEC, 1);

	if (!err)
		arch_hw_break_clear(0);
	if (!err && arch_hw_break_is_own() && num_online_cpus() > 1)
		return true;
	test_skip("needs two CPUs, each with breakpoints of its own");
	return false;
}

TEST(shrink, in_hand, "a shrink waits for the trim of another CPU, which has an empty slab in its hands")
{
	if (!can_break() || !needs_magazines(SIZE))
		return;
	test_frees_at_once();
	other = num_online_cpus() - 1;
	in_hand = waited = returned = 0;
	REQUIRE(begin(0));
	if (mm_kept_by(cache) < WORTH_A_TRIM * cache->objects) {
		test_skip("so many CPUs keep too few slabs each for a trim");
		EXPECT_EQ(kmem_cache_destroy(cache), 0);
		return;
	}
	REQUIRE(take_all((unsigned int)mm_kept_by(cache)));
	run_in(CTX_THREAD, other, free_limit, NULL); /* the flush of its magazine empties the slabs: then it trims */
	REQUIRE(pages_of_cache() >= WORTH_A_TRIM << cache->order);
	set_trap_hook(at_break);
	smp_call_function_single(other, break_there, NULL, true);
	EXPECT_EQ(arch_hw_break_set(0, irq_work_sync, HW_BREAK_EXEC, 1), 0);
	EXPECT_EQ(arch_hw_break_set(1, partial_trim, HW_BREAK_EXEC, 1), 0);
	expect_all_back();
	EXPECT(in_hand && waited);
	__atomic_store_n(&returned, 1, __ATOMIC_RELEASE);
	arch_hw_break_clear(0);
	arch_hw_break_clear(1);
	set_trap_hook(NULL);
	hook_sync();
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
