/*
 * rcu_load.c - readers and writers in threads, interrupts, NMIs and breakpoints of all CPUs:
 * no reader sees an object that is not whole, and at the end all are free.
 */
#include <anyctx/rcupdate.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "mm/cache.h"
#include "kernel/run_in.h"
#include "tests/test.h"

#define SLOTS 8
#define ROUNDS 1500
#define WORDS 10

struct shared {
	u64 word[WORDS]; /* all equal, and never the word of another object */
	struct rcu_head head;
};

static struct shared *slot[SLOTS];
static struct kmem_cache *cache;
static u64 reads, replaced, broken, refused, counter;

static void read_one(unsigned int i)
{
	const struct shared *s;

	rcu_read_lock();
	s = rcu_dereference(slot[i % SLOTS]);
	if (s) {
		u64 first = READ_ONCE(s->word[0]);

		for (unsigned int k = 0; k < WORDS; k++)
			for (unsigned int pause = 0; pause < 3; pause++)
				if (READ_ONCE(s->word[k]) != first || !first)
					__atomic_fetch_add(&broken, 1, __ATOMIC_RELAXED);
		__atomic_fetch_add(&reads, 1, __ATOMIC_RELAXED);
	}
	rcu_read_unlock();
}

static void replace_one(unsigned int i)
{
	struct shared *new = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE), *old;
	u64 number = __atomic_add_fetch(&counter, 1, __ATOMIC_RELAXED);

	if (!new) {
		__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
		return;
	}
	for (unsigned int k = 0; k < WORDS; k++)
		new->word[k] = number;
	old = __atomic_exchange_n(&slot[i % SLOTS], new, __ATOMIC_ACQ_REL);
	if (old && i & 1)
		kfree_rcu(old, head);
	else if (old && !kfree_rcu_nolock(old))
		__atomic_fetch_add(&refused, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&replaced, 1, __ATOMIC_RELAXED);
}

static void some(unsigned int seed)
{
	read_one(seed);
	if (seed % 3 == 0)
		replace_one(seed / 3);
	read_one(seed + 1);
}

static void on_nmi(struct regs *r)
{
	some((unsigned int)r->rip * 7 + (unsigned int)READ_ONCE(counter));
}

static bool on_trap(struct regs *r, u64 dr6)
{
	(void)dr6;
	some((unsigned int)r->rsp / 8 + (unsigned int)READ_ONCE(counter));
	return true;
}

static void on_tick(struct regs *r)
{
	some((unsigned int)r->rip + (unsigned int)READ_ONCE(counter));
}

static void work(void *unused)
{
	unsigned int me = smp_processor_id(), other = (me + 1) % num_online_cpus();

	(void)unused;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		some(i * 5 + me);
		if (i % 16 == 3)
			arch_send_nmi(i % 32 == 3 ? other : me);
		if (i % 16 == 7)
			arch_breakpoint();
		rcu_read_lock();
		some(i);
		if (i % 16 == 11)
			arch_send_nmi(me);
		rcu_read_unlock();
	}
}

TEST(rcu, load, "readers and writers in every context of all CPUs at once: every object seen is whole, all are freed")
{
	reads = replaced = broken = refused = counter = 0;
	cache = kmem_cache_create("rcu-load", sizeof(struct shared), 0, 0, NULL);
	REQUIRE(cache != NULL);
	set_tick_hook(on_tick);
	set_nmi_hook(on_nmi);
	set_trap_hook(on_trap);
	on_each_cpu_thread(work, NULL);
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
	for (unsigned int i = 0; i < SLOTS; i++) {
		struct shared *last = __atomic_exchange_n(&slot[i], NULL, __ATOMIC_ACQ_REL);

		if (last)
			kfree_rcu(last, head);
	}
	rcu_barrier();
	EXPECT_EQ(broken, 0);
	EXPECT_EQ(refused, 0);
	EXPECT_EQ(cache_in_use(cache, NULL, 0), 0);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
	test_note("%lu reads, %lu replaced, grace period %lu", reads, replaced, get_state_synchronize_rcu());
}
