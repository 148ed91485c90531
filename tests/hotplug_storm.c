/*
 * hotplug_storm.c - CPUs go and come while all others allocate, fill, check and free in
 * threads, timer interrupts, NMIs and breakpoints; and while memory ends.
 */
#include <anyctx/cpu.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "lib/random.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/hotplug.h"
#include "tests/test.h"

#define ROUNDS 30
#define SLOTS 256 /* shared by all */
#define SECRET 0x5ca1ab1e0ddba11UL

static unsigned int victim;
static u32 stop;
static u64 slots[SLOTS]; /* addresses of blocks in use */
static u64 operations[NR_CONTEXT], nulls, wrong;
static DEFINE_PER_CPU(struct rng, storm_rng[NR_CONTEXT]);

static void *make(u64 random)
{
	static const size_t sizes[] = { 16, 64, 192, 1024, 4096, 20000, 70000 };
	size_t size = sizes[random % ARRAY_SIZE(sizes)];
	u64 *p = kmalloc_nolock(size, 0, NUMA_NO_NODE);

	if (!p) {
		__atomic_fetch_add(&nulls, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	WRITE_ONCE(p[1], (u64)p ^ SECRET);
	return p;
}

static void drop(u64 *p)
{
	if (!p)
		return;
	if (READ_ONCE(p[1]) != ((u64)p ^ SECRET))
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	WRITE_ONCE(p[1], 0);
	kfree_nolock(p);
}

/* A generator that is interrupted in the middle of a step takes it twice: no harm. */
static void work(void)
{
	enum context c = current_context();
	struct rng *rng = &(*this_cpu_ptr(storm_rng))[c];
	u64 random = rng_next(rng);

	__atomic_fetch_add(&operations[c], 1, __ATOMIC_RELAXED);
	drop((u64 *)__atomic_exchange_n(&slots[random >> 8 & (SLOTS - 1)], (u64)make(random), __ATOMIC_ACQ_REL));
}

static void in_hook(struct regs *r)
{
	(void)r;
	work();
	work();
}

static bool in_breakpoint(struct regs *r, u64 dr6)
{
	(void)r;
	(void)dr6;
	work();
	return true;
}

static void storm_once(u64 i)
{
	work();
	if (i % 8 == 0)
		arch_breakpoint();
	if (i % 32 == 0)
		arch_send_nmi(i / 32 % num_possible_cpus()); /* online or not */
}

static void storm(void *unused)
{
	(void)unused;
	for (u64 i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++)
		storm_once(i);
}

/* On the CPU that is to go, so that it has something to give back. */
static void some(void *unused)
{
	(void)unused;
	for (u64 i = 0; i < 300; i++)
		storm_once(i);
}

static void begin(void (*others)(void *))
{
	stop = 0;
	nulls = wrong = 0;
	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		operations[c] = 0;
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		for (unsigned int c = 0; c < NR_CONTEXT; c++)
			rng_init(&(*per_cpu_ptr(storm_rng, cpu))[c], cpu * NR_CONTEXT + c + 1);
	set_trap_hook(in_breakpoint);
	set_nmi_hook(in_hook);
	set_tick_hook(in_hook);
	for (unsigned int cpu = 1; cpu < victim; cpu++)
		cpu_thread_run(cpu, others, NULL);
}

static void end(void)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	for (unsigned int cpu = 1; cpu < victim; cpu++)
		cpu_thread_wait(cpu);
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	hook_sync();
	set_trap_hook(NULL);
	hook_sync();
	for (unsigned int i = 0; i < SLOTS; i++) {
		drop((u64 *)slots[i]);
		slots[i] = 0;
	}
}

static void told(const struct mm_stats *before)
{
	struct mm_stats now;

	mm_get_stats(&now);
	EXPECT_EQ(now.spurious_failures, before->spurious_failures);
	EXPECT_EQ(wrong, 0);
	test_note("operations: thread %lu irq %lu nmi %lu debug %lu; %lu NULL; %lu frees deferred",
		  operations[CTX_THREAD], operations[CTX_IRQ], operations[CTX_NMI], operations[CTX_DEBUG], nulls,
		  now.deferred - before->deferred);
}

TEST(hotplug, storm, "CPUs go and come while all others allocate and free in every context: nothing is lost")
{
	struct mm_stats before;

	victim = hotplug_victim();
	if (!victim)
		return;
	mm_get_stats(&before);
	begin(storm);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		cpu_thread_run(victim, some, NULL);
		some(NULL);
		cpu_thread_wait(victim);
		EXPECT_EQ(cpu_down(victim), 0);
		EXPECT(!mm_cpu_holds(victim));
		some(NULL);
		EXPECT_EQ(cpu_up(victim), 0);
	}
	end();
	EXPECT_EQ(nulls, 0);
	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		EXPECT(operations[c] > 0);
	told(&before);
}

/* ---- at the end of memory ---- */

/* Pages chained through their first words. One more in front, if there is one. */
static u64 *hoard(u64 *chain)
{
	struct page *page = alloc_pages_nolock(__GFP_NOWARN, NUMA_NO_NODE, 0);

	if (!page)
		return chain;
	*(u64 **)page_address(page) = chain;
	return page_address(page);
}

static u64 *give_one(u64 *chain)
{
	u64 *next = chain ? *(u64 **)chain : NULL;

	kfree_nolock(chain);
	return next;
}

/* Three pages taken, one given back, and so on; one given back where there are none. */
static void eat(void *unused)
{
	u64 *chain = NULL;

	(void)unused;
	for (u64 i = 0; !__atomic_load_n(&stop, __ATOMIC_ACQUIRE); i++) {
		u64 *more = i % 4 ? hoard(chain) : chain;

		chain = more != chain ? more : give_one(chain);
	}
	while (chain)
		chain = give_one(chain);
}

TEST(hotplug, end_of_memory, "CPUs go and come while memory ends: no NULL that was not true, nothing lost")
{
	struct mm_stats before;
	u64 *chain = NULL, *more;

	victim = hotplug_victim();
	if (!victim)
		return;
	mm_get_stats(&before);
	begin(eat);
	while ((more = hoard(chain)) != chain)
		chain = more;
	for (unsigned int i = 0; i < ROUNDS / 3; i++) {
		cpu_thread_run(victim, some, NULL);
		cpu_thread_wait(victim);
		EXPECT_EQ(cpu_down(victim), 0);
		EXPECT(!mm_cpu_holds(victim));
		EXPECT_EQ(cpu_up(victim), 0);
	}
	while (chain)
		chain = give_one(chain);
	end();
	told(&before);
}
