/*
 * defer_barrier.c - who waits for what was put off is not kept by what is freed meanwhile.
 */
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/run_in.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/keep.h"
#include "tests/test.h"

#define WAITING 10 /* put off before the barrier */
#define NEW 200    /* freed meanwhile */

static struct kmem_cache *cache;
static void *objs[MAG_SLOTS + WAITING + NEW];
static unsigned int nr, at, other; /* at: the next one to be freed, by the other CPU */

static bool begin(void)
{
	test_frees_at_once();
	other = num_online_cpus() - 1;
	at = 0;
	cache = kmem_cache_create("barrier", 72, 0, 0, NULL);
	nr = cache ? take_beyond_magazine(cache, objs, ARRAY_SIZE(objs), WAITING + NEW) : 0;
	return nr != 0;
}

static bool possible(void)
{
	if (num_online_cpus() > 1)
		return needs_magazines(72);
	test_skip("needs two CPUs");
	return false;
}

static u32 held, go_on;
static u64 waiting_meanwhile;

static void free_next(void *unused)
{
	(void)unused;
	kfree_nolock(objs[at++]);
}

static void free_in_nmi(struct regs *r)
{
	(void)r;
	if (smp_processor_id() == other && at < nr)
		free_next(NULL);
}

static void free_rest_in_nmis(void)
{
	while (!defer_closed())
		cpu_relax();
	set_nmi_hook(free_in_nmi);
	while (READ_ONCE(at) < nr)
		arch_send_nmi(other);
	set_nmi_hook(NULL);
	waiting_meanwhile = defer_count(other);
}

/* Its interrupts stay off until then, and its magazine is full. */
static void hold_until_waited_for(void *unused)
{
	u64 flags = arch_irq_save();

	(void)unused;
	while (at < cache->limit)
		free_next(NULL);
	__atomic_store_n(&held, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go_on, __ATOMIC_ACQUIRE))
		cpu_relax();
	free_rest_in_nmis();
	arch_irq_restore(flags);
}

/* The other CPU is held, and as many wait there as are to. */
static void hold(void)
{
	held = go_on = 0;
	cpu_thread_run(other, hold_until_waited_for, NULL);
	while (!__atomic_load_n(&held, __ATOMIC_ACQUIRE))
		cpu_relax();
	while (at < cache->limit + WAITING)
		run_in(CTX_NMI, other, free_next, NULL);
	EXPECT_EQ(defer_count(other), WAITING);
}

static void let_go(void)
{
	__atomic_store_n(&go_on, 1, __ATOMIC_RELEASE);
}

static void check_closed(void (*wait)(void))
{
	REQUIRE(begin());
	hold();
	let_go();
	wait();
	EXPECT_EQ(defer_count(other), 0);
	cpu_thread_wait(other);
	hook_sync();
	EXPECT_EQ(waiting_meanwhile, WAITING);
	EXPECT(!defer_closed());
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(defer, closed_while_waited_for,
     "while a barrier, or the end of a cache, waits for what was put off nothing more is: no flood can keep it")
{
	if (!possible())
		return;
	check_closed(defer_free_barrier);
	check_closed(defer_settle);
}
