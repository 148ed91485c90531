/*
 * numa_busy.c - a node's memory to the last, strictly, while a CPU of that node is at work and
 * would like to keep what is left; other nodes have plenty. The CPU has one page or object at
 * a time, now and then two, for which it needs what it has not just freed; it stops with two in
 * its hands: so at the first NULL nothing is free.
 */
#include "kernel/hooks.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "tests/keep.h"
#include "tests/test.h"

#define SINGLE 6

static struct {
	struct kmem_cache *cache; /* NULL: pages */
	unsigned int cpu;
	int nid; /* its node */
	void *kept; /* to the end, so that the slab stays */
	void *first;
	u64 rounds;
	u32 stop, stopped, end;
} busy;

/* One of its node, for CPU 0: when the CPU at work has all that it could take again since the
 * last one, and so is not in the middle of that (design.md, "What NULL means"). */
static void *one(gfp_t gfp, int nid);
static void *one_of_its_node(void)
{
	u64 rounds = READ_ONCE(busy.rounds);

	while (READ_ONCE(busy.rounds) < rounds + 2)
		cpu_relax();
	return one(__GFP_THISNODE, busy.nid);
}

static void *one(gfp_t gfp, int nid)
{
	struct page *page;

	if (busy.cache)
		return kmem_cache_alloc_nolock(busy.cache, gfp | __GFP_NOWARN, nid);
	page = alloc_pages_nolock(gfp | __GFP_NOWARN, nid, 0);
	return page ? page_address(page) : NULL;
}

static void *work_until_stopped(void)
{
	for (;;) {
		void *second;

		for (unsigned int i = 0; i < SINGLE; i++)
			kfree_nolock(one(0, NUMA_NO_NODE));
		WRITE_ONCE(busy.rounds, busy.rounds + 1);
		busy.first = one(0, NUMA_NO_NODE);
		second = one(0, NUMA_NO_NODE);
		if (READ_ONCE(busy.stop))
			return second;
		kfree_nolock(busy.first);
		kfree_nolock(second);
	}
}

static void work(void *unused)
{
	void *second;

	(void)unused;
	busy.kept = one(0, NUMA_NO_NODE);
	second = work_until_stopped();
	__atomic_store_n(&busy.stopped, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&busy.end, __ATOMIC_ACQUIRE))
		cpu_relax();
	kfree_nolock(busy.first);
	kfree_nolock(second);
	kfree_nolock(busy.kept);
}

static bool others_have_memory(int nid)
{
	for (u64 line = 0; line < nr_lines; line++)
		if (line_node[line] >= 0 && line_node[line] != nid)
			return true;
	return false;
}

/* The last CPU is at work; or the case is skipped. */
static bool begin(struct kmem_cache *cache)
{
	unsigned int cpu = num_online_cpus() - 1;
	int nid = (int)per_cpu_ptr(page_cpu, cpu)->home_node;

	if (!cpu || !others_have_memory(nid)) {
		test_skip("needs two nodes with memory, and two CPUs");
		return false;
	}
	memset(&busy, 0, sizeof(busy));
	busy.cache = cache;
	busy.cpu = cpu;
	busy.nid = nid;
	cpu_thread_run(cpu, work, NULL);
	while (READ_ONCE(busy.rounds) < 1000)
		cpu_relax();
	return true;
}

static void stop(void)
{
	WRITE_ONCE(busy.stop, 1);
	while (!__atomic_load_n(&busy.stopped, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static void end(void)
{
	__atomic_store_n(&busy.end, 1, __ATOMIC_RELEASE);
	cpu_thread_wait(busy.cpu);
}

/* Chained through their first words. */
static void **chain;

static void add(void **p)
{
	*p = chain;
	chain = p;
}

static void take_blocks(void)
{
	struct page *page;
	void *p;

	for (unsigned int order = NR_ORDERS; --order;)
		while ((page = alloc_pages_nolock(__GFP_THISNODE | __GFP_NOWARN, busy.nid, order)))
			add(page_address(page));
	while (!busy.cache && (p = one_of_its_node()))
		add(p);
}

/* Those that were taken last. */
static void give(u64 n)
{
	while (chain && n--) {
		void **next = *chain;

		kfree_nolock(chain);
		chain = next;
	}
}

#define TIMES 96
#define AGAIN 64 /* pages, for the next time */

TEST(numa, strict_busy,
     "with __GFP_THISNODE the last page of a node is had, while a CPU of the node takes and gives pages, and others have memory")
{
	if (!needs_private_pages())
		return;
	for (unsigned int i = 0; i < TIMES && begin(NULL); i++) {
		take_blocks();
		stop();
		EXPECT_EQ(page_private(busy.cpu), 0);
		EXPECT(!page_find_free(0, busy.nid));
		EXPECT(page_find_free(0, -1));
		end();
		give(AGAIN);
	}
	give(~0UL);
	test_note("%lu rounds meanwhile, the last time", busy.rounds);
}

static u64 in_magazine(const struct kmem_cache *s, unsigned int cpu, int nid)
{
	void **slot = per_cpu_ptr(cache_cpu[s->id], cpu)->floor;
	u64 n = 0;

	for (u64 i = 0; i < magazine_count(s, cpu); i++)
		n += page_to_nid(virt_to_page(slot[i])) == nid;
	return n;
}

/* NULL is believed unless the CPU, not let run by its host, has a batch in its hands just then. */
static void *last_object(void)
{
	void *p;

	do
		p = one_of_its_node();
	while (!p && hands_open_on(busy.cpu));
	return p;
}

TEST(numa, strict_busy_objects, "so is the last object of a node")
{
	struct kmem_cache *s = kmem_cache_create("numa-busy", 256, 0, 0, NULL);
	u64 n = 0;
	void *p;

	REQUIRE(s != NULL);
	test_frees_at_once();
	if (needs_magazines_of(s) && begin(s)) {
		take_blocks();
		for (; (p = last_object()); n++)
			add(p);
		stop();
		EXPECT_EQ(in_magazine(s, busy.cpu, busy.nid), 0);
		EXPECT(!partial_get_one(s, busy.nid));
		end();
		give(~0UL);
		test_note("%lu objects, %lu rounds meanwhile", n, busy.rounds);
	}
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}
