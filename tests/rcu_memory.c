/*
 * rcu_memory.c - grace periods and the end of memory: what waits for readers is hurried
 * along, from every context, and only a reader holds it up. And caches whose objects
 * readers may look at after they were freed (SLAB_TYPESAFE_BY_RCU).
 */
#include <anyctx/rcupdate.h>
#include <arch/irq.h>
#include "kernel/rcu.h"
#include "lib/string.h"
#include "mm/cache.h"
#include "mm/mm.h"
#include "tests/badcall.h"
#include "tests/ballast.h"
#include "tests/test.h"

#define PAGES 50
#define MANY 200

static struct page *pages[PAGES];
static void *objs[MANY];
static struct kmem_cache *cache;

/* ---- frees that wait ---- */

/* A CPU that its host does not let run may answer too late for one call (design.md, "What
 * NULL means"), but not for ever; where nothing may be had a second call gets nothing. */
#define TRIES 100
static void take_pages(void *arg)
{
	u64 want = (u64)arg, n = 0, refused = 0;

	while (n < PAGES && refused < TRIES) {
		pages[n] = alloc_pages_nolock(0, NUMA_NO_NODE, 0);
		if (pages[n])
			n++;
		else
			refused++;
	}
	EXPECT_EQ(n, want);
}

static void free_pages_rcu(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < PAGES; i++)
		EXPECT(kfree_rcu_nolock(page_address(pages[i])));
}

/* Where this CPU needs no interrupt to get there, it takes none: nothing comes of itself. */
static u64 interrupts_off(enum context ctx)
{
	u64 flags = arch_irq_save();

	if (ctx == CTX_IRQ)
		arch_irq_restore(flags);
	return flags;
}

static void check_hurried(enum context ctx, unsigned int freed_on, unsigned int wanted_on)
{
	u64 flags;

	for (unsigned int i = 0; i < PAGES; i++)
		pages[i] = alloc_pages(GFP_KERNEL, 0);
	ballast_take_all();
	flags = interrupts_off(ctx);
	run_in(CTX_NMI, freed_on, free_pages_rcu, NULL);
	run_in(ctx, wanted_on, take_pages, (void *)PAGES);
	arch_irq_restore(flags);
	for (unsigned int i = 0; i < PAGES; i++)
		free_pages(pages[i], 0);
	ballast_give();
}

TEST(rcu, hurried, "at the end of memory pages that wait for a grace period are had at once, in every context")
{
	unsigned int last = num_online_cpus() - 1;

	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		check_hurried((enum context)ctx, 0, 0);
		check_hurried((enum context)ctx, 0, last);
		check_hurried((enum context)ctx, last, 0);
	}
}

static void none_left(void *unused)
{
	(void)unused;
	EXPECT(!alloc_pages_nolock(0, NUMA_NO_NODE, 0));
}

TEST(rcu, held_up, "while a reader is inside they are not to be had, from any context; then they are")
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		for (unsigned int i = 0; i < PAGES; i++)
			pages[i] = alloc_pages(GFP_KERNEL, 0);
		ballast_take_all();
		rcu_read_lock();
		free_pages_rcu(NULL);
		ballast_take_all(); /* what the records have come from */
		run_in((enum context)ctx, num_online_cpus() - 1, none_left, NULL);
		rcu_read_unlock();
		run_in((enum context)ctx, num_online_cpus() - 1, take_pages, (void *)PAGES);
		for (unsigned int i = 0; i < PAGES; i++)
			free_pages(pages[i], 0);
		ballast_give();
	}
}

static unsigned int put_off;

static void put_off_many(void *unused)
{
	(void)unused;
	for (put_off = 0; put_off < MANY && kfree_rcu_nolock(objs[put_off]); put_off++)
		;
}

/* All pages, and every record that kmalloc could give, to chain. */
static void take_records(void ***chain)
{
	void **p;

	ballast_take_all();
	while ((p = kmalloc_nolock(24, 0, NUMA_NO_NODE))) {
		*p = (void *)*chain;
		*chain = p;
	}
}

static void free_records(void **chain)
{
	while (chain) {
		void **next = *chain;

		kfree(chain);
		chain = next;
	}
}

TEST(rcu, no_records, "with no memory at all kfree_rcu_nolock has 64 records on each CPU, then says no; they come back")
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (unsigned int round = 0; round < 1 + !ctx; round++) {
			void **chain = NULL;

			for (unsigned int i = 0; i < MANY; i++)
				objs[i] = page_address(alloc_pages(GFP_KERNEL, 0));
			take_records(&chain);
			rcu_read_lock();
			run_in((enum context)ctx, num_online_cpus() - 1, put_off_many, NULL);
			rcu_read_unlock();
			EXPECT_EQ(put_off, 64);
			rcu_barrier();
			for (unsigned int i = put_off; i < MANY; i++)
				kfree(objs[i]);
			free_records(chain);
			ballast_give();
		}
}

/* ---- objects that stay of their cache ---- */

struct checked {
	u64 key, twice;
};

static void build(void *obj)
{
	struct checked *c = obj;

	c->key = 7;
	c->twice = 14;
}

static u64 slabs_left(void)
{
	u64 n = 0;

	for (u64 pfn = 0; pfn < max_pfn; pfn++)
		n += pfn_page(pfn)->type == PT_SLAB && *frame_cache(pfn) == CPU_OFF(cache->id) && !pfn_page(pfn)->tail;
	return n;
}

static void release_all(void)
{
	magazine_flush(cache, ~0UL);
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		partial_trim(cache, nid);
}

static void check_typesafe(void (*ctor)(void *))
{
	struct checked *first;

	cache = kmem_cache_create("typesafe", sizeof(struct checked), 0, SLAB_TYPESAFE_BY_RCU, ctor);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i < MANY; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL | __GFP_ZERO);
		REQUIRE(objs[i] != NULL);
		build(objs[i]);
	}
	first = objs[0];
	rcu_read_lock();
	for (unsigned int i = 0; i < MANY; i++)
		kmem_cache_free(cache, objs[i]);
	for (unsigned int i = 0; i < 5; i++)
		release_all();
	EXPECT(slabs_left());
	/* What a reader finds: still an object of the cache, as it was. */
	EXPECT_EQ(READ_ONCE(first->key), 7);
	EXPECT_EQ(READ_ONCE(first->twice), 14);
	EXPECT(page_cpu_off(obj_slab(first)) == CPU_OFF(cache->id));
	objs[1] = kmem_cache_alloc(cache, GFP_KERNEL); /* and it may be used again */
	EXPECT(objs[1] && page_cpu_off(obj_slab(objs[1])) == CPU_OFF(cache->id));
	kmem_cache_free(cache, objs[1]);
	release_all();
	rcu_read_unlock();
	synchronize_rcu();
	release_all();
	EXPECT(!slabs_left());
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(rcu, typesafe, "a freed object of a typesafe cache stays one, whole and to be reused, until a grace period has ended")
{
	test_frees_at_once();
	check_typesafe(build);
	check_typesafe(NULL);
}

#define KEPT 8 /* empty slabs, of any cache (partial.c) */

TEST(rcu, typesafe_later, "empty slabs that could not go for readers go after the grace period by themselves, but for a few")
{
	u64 n;

	cache = kmem_cache_create("typesafe", 8000, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int i = 0; i < MANY; i++)
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	rcu_read_lock();
	kmem_cache_free_bulk(cache, MANY, objs);
	release_all();
	n = slabs_left();
	EXPECT(n > KEPT);
	rcu_read_unlock();
	rcu_barrier();
	EXPECT(slabs_left() <= KEPT);
	test_note("%lu slabs, %lu kept", n, slabs_left());
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(rcu, typesafe_hurried, "at the end of memory the empty slabs of a typesafe cache are had as pages, in every context")
{
	cache = kmem_cache_create("typesafe", 1000, 0, SLAB_TYPESAFE_BY_RCU, NULL);
	REQUIRE(cache != NULL);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		u64 flags;

		for (unsigned int i = 0; i < MANY; i++)
			objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		ballast_take_all();
		flags = interrupts_off((enum context)ctx);
		kmem_cache_free_bulk(cache, MANY, objs);
		run_in((enum context)ctx, num_online_cpus() - 1, take_pages, (void *)PAGES);
		arch_irq_restore(flags);
		for (unsigned int i = 0; i < PAGES; i++)
			free_pages(pages[i], 0);
		ballast_give();
	}
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
