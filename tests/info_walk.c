/*
 * info_walk.c - the views of memory agree with a full walk while much is on its way: frees
 * deferred and waiting for a grace period, objects in magazines, pages private to a CPU.
 * Interrupts are off and the other CPUs idle, so nothing moves between view and walk.
 */
#include <anyctx/rcupdate.h>
#include <arch/irq.h>
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include "tests/caught.h"
#include "kernel/run_in.h"
#include "tests/test.h"

#define MANY 60

static struct kmem_cache *cache;
static struct walk w;

static void check_meminfo(void)
{
	const char *text = caught_of(mm_print_meminfo), *p = line_with(text, "memory: ");

	REQUIRE(p != NULL);
	EXPECT_EQ(number_in(&p), nr_managed_pages());
	number_in(&p); /* MiB */
	EXPECT_EQ(number_in(&p), w.free + w.private);
	EXPECT_EQ(number_in(&p), w.private);
	p = line_with(text, "  pages in slabs ");
	REQUIRE(p != NULL);
	EXPECT_EQ(number_in(&p), w.pages[PT_SLAB]);
	EXPECT_EQ(number_in(&p), w.pages[PT_LARGE] + w.pages[PT_LARGE_PAID]);
	EXPECT_EQ(number_in(&p), w.pages[PT_BLOCK] + w.pages[PT_BLOCK_PAID]);
}

static void check_slabinfo(void)
{
	const char *text = caught_of(mm_print_slabinfo);
	unsigned int lines = 0;

	for (u32 id = 1; id < MAX_CACHES; id++) {
		const struct kmem_cache *s = &caches[id];
		u64 cached = 0;
		const char *p;
		char name[32];

		if (!s->live)
			continue;
		for (unsigned int i = 0; i <= sizeof(s->name); i++)
			name[i] = i < sizeof(s->name) && s->name[i] ? s->name[i] : 0;
		p = line_with(text, name);
		REQUIRE(p != NULL);
		for (unsigned int c = 0; c < num_possible_cpus(); c++)
			cached += magazine_count(s, c);
		while (*p && *p != ' ')
			p++; /* a longer name that begins alike */
		if (number_in(&p) != s->size)
			continue;
		number_in(&p); /* order */
		EXPECT_EQ(number_in(&p), w.slabs[id]);
		EXPECT_EQ(number_in(&p), w.objects[id]);
		EXPECT_EQ(number_in(&p), w.objects[id] - w.idle[id] - cached);
		EXPECT_EQ(number_in(&p), cached);
		lines++;
	}
	EXPECT(lines > 5);
}

static void check_buddyinfo(void)
{
	const char *p = caught_of(mm_print_buddyinfo);
	u64 pages = 0;

	for (unsigned int nid = 0; nid < num_nodes(); nid++) {
		p = line_with(p, "node ");
		REQUIRE(p != NULL);
		number_in(&p);
		for (unsigned int order = 0; order <= MAX_ORDER; order++)
			pages += number_in(&p) << order;
	}
	EXPECT_EQ(pages, w.free);
}

static void free_here(void *p)
{
	kfree_nolock(p);
}

/* What there is of everything that may be on its way. */
static void make_busy(void **objs)
{
	for (unsigned int i = 0; i < MANY / 3; i++)
		kmem_cache_free(cache, objs[i]);
	for (unsigned int i = MANY / 3; i < 2 * MANY / 3; i++)
		run_in(CTX_NMI, 0, free_here, objs[i]);
	for (unsigned int i = 2 * MANY / 3; i < MANY; i++)
		EXPECT(kfree_rcu_nolock(objs[i]));
	free_pages(alloc_pages(GFP_NOWAIT, 0), 0);
	free_pages(alloc_pages(GFP_NOWAIT, 2), 2);
}

TEST(info, agrees, "meminfo, slabinfo and buddyinfo say what a walk finds while frees wait in every place there is")
{
	static void *objs[MANY];
	u64 flags;

	test_frees_at_once();
	cache = kmem_cache_create("info-busy", 1000, 0, 0, NULL);
	REQUIRE(cache && kmem_cache_alloc_bulk(cache, GFP_KERNEL, MANY, objs) == MANY);
	flags = arch_irq_save();
	rcu_read_lock();
	make_busy(objs);
	walk_all(&w, NULL);
	check_meminfo();
	check_slabinfo();
	check_buddyinfo();
	rcu_read_unlock();
	arch_irq_restore(flags);
	rcu_barrier();
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
