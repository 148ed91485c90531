/*
 * matrix.c - the public calls of the allocator, all of them that a context may make, in that
 * context: a case for each. tools/run-tests.py --matrix runs these cases with every preset.
 *
 * A case goes through every CPU. There, in its context, each call that gives memory is made
 * with each size; what it gave is checked (place, size, zeros), filled, held while others
 * are asked for, checked again and freed by each of the calls that may: in the same context,
 * by turns of this CPU and of another. Then, in that context alone, pages are taken to the
 * very last one. NULL is never right before that.
 *
 * Conservation is the runner's: all pages are back after the case, and the walk of all
 * structures agrees with the counters.
 */
#include <anyctx/llist.h>
#include <anyctx/mempool.h>
#include <anyctx/rcupdate.h>
#include <arch/irq.h>
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/ballast.h"
#include "kernel/run_in.h"
#include "tests/pattern.h"
#include "tests/test.h"

#define MOST_HELD 128
#define LOOKED_AT 2048 /* bytes of a large block that are filled, at each end */
#define LARGE (1UL << 20) /* from here on not by each call at each turn */
#define LEFT_PAGES 3000 /* of which the last is taken */

/* What is held: how much there is, and by which call it came. */
struct had {
	void *p;
	size_t size;
	unsigned int giver;
};
static struct had held[MOST_HELD];
static unsigned int nr_held, turn;
static u64 calls, pages_taken, nulls;
static bool nolock_only, irqs_off;
static struct kmem_cache *plain, *constructed;
static mempool_t *pool; /* of plain */

#define CACHE_SIZE 200
#define BUILT 0x600d600d600d600dUL

static void build(void *obj)
{
	*(u64 *)obj = BUILT;
}

/* ---- the calls that give: a block of at least that size ---- */

static void *give_kmalloc(size_t size)
{
	return kmalloc(size, GFP_ATOMIC);
}

static void *give_kzalloc(size_t size)
{
	return kzalloc(size, GFP_ATOMIC);
}

static void *give_kmalloc_node(size_t size)
{
	return kmalloc_node(size, GFP_NOWAIT, (int)num_nodes() - 1);
}

/* Of a constant size: the class is found by the compiler. */
static void *give_kmalloc_constant(size_t size)
{
	return size <= 64 ? kmalloc(64, GFP_ATOMIC) : kmalloc(8192, GFP_ATOMIC);
}

static void *give_krealloc(size_t size)
{
	char *p = krealloc(NULL, size / 4 + 1, GFP_ATOMIC), *q;

	if (!p)
		return NULL;
	*p = 'x';
	q = krealloc(p, size, GFP_ATOMIC);
	EXPECT(q && *q == 'x');
	return q;
}

static void *give_nolock(size_t size)
{
	return kmalloc_nolock(size, 0, NUMA_NO_NODE);
}

static void *give_nolock_node(size_t size)
{
	return kmalloc_nolock(size, 0, 0);
}

static void *give_nolock_zero(size_t size)
{
	return kmalloc_nolock(size, __GFP_ZERO, NUMA_NO_NODE);
}

static void *give_nolock_constant(size_t size)
{
	return size <= 64 ? kmalloc_nolock(64, 0, NUMA_NO_NODE) : kmalloc_nolock(8192, 0, NUMA_NO_NODE);
}

static void *give_cache(size_t size)
{
	(void)size;
	return kmem_cache_alloc(plain, GFP_ATOMIC);
}

static void *give_cache_nolock(size_t size)
{
	(void)size;
	return kmem_cache_alloc_nolock(plain, __GFP_ZERO, NUMA_NO_NODE);
}

static void *give_constructed(size_t size)
{
	u64 *p = kmem_cache_alloc_nolock(constructed, 0, NUMA_NO_NODE);

	(void)size;
	EXPECT(p && *p == BUILT);
	return p;
}

static unsigned int order_of(size_t size)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < size)
		order++;
	return order;
}

static void *address(struct page *page)
{
	return page ? page_address(page) : NULL;
}

static void *give_pages(size_t size)
{
	return address(alloc_pages(GFP_ATOMIC, order_of(size)));
}

static void *give_pages_node(size_t size)
{
	return address(alloc_pages_node(0, GFP_ATOMIC, order_of(size)));
}

static void *give_pages_nolock(size_t size)
{
	return address(alloc_pages_nolock(__GFP_ZERO, NUMA_NO_NODE, order_of(size)));
}

static void *give_frozen(size_t size)
{
	return address(alloc_frozen_pages_nolock(0, NUMA_NO_NODE, order_of(size)));
}

#define MANY 7

/* One of many, the others go back at once. */
static void *one_of(void **objs, size_t n)
{
	EXPECT_EQ(n, MANY);
	if (n != MANY)
		return NULL;
	kmem_cache_free_bulk_nolock(plain, MANY - 1, objs + 1);
	return objs[0];
}

static void *give_bulk(size_t size)
{
	void *objs[MANY];

	(void)size;
	return one_of(objs, kmem_cache_alloc_bulk(plain, GFP_ATOMIC, MANY, objs));
}

static void *give_bulk_nolock(size_t size)
{
	void *objs[MANY];

	(void)size;
	return one_of(objs, kmem_cache_alloc_bulk_nolock(plain, __GFP_ZERO, NUMA_NO_NODE, MANY, objs));
}

static void *give_pool(size_t size)
{
	(void)size;
	return mempool_alloc(pool, 0);
}

/* ---- the calls that take: what may be given to them, by who gave it ---- */

static void take_kmem_cache(void *p, size_t size)
{
	(void)size;
	kmem_cache_free(plain, p);
}

static void take_kmem_cache_nolock(void *p, size_t size)
{
	(void)size;
	kmem_cache_free_nolock(plain, p);
}

static void take_constructed(void *p, size_t size)
{
	(void)size;
	build(p);
	kmem_cache_free_nolock(constructed, p);
}

static void take_kfree(void *p, size_t size)
{
	(void)size;
	kfree(p);
}

static void take_kfree_nolock(void *p, size_t size)
{
	(void)size;
	kfree_nolock(p);
}

static void take_pages(void *p, size_t size)
{
	free_pages(virt_to_page(p), order_of(size));
}

/* With a second reference, which is dropped first. */
static void take_pages_nolock(void *p, size_t size)
{
	struct page *page = virt_to_page(p);

	get_page(page);
	EXPECT_EQ(page_ref_count(page), 2);
	put_page(page);
	free_pages_nolock(page, order_of(size));
}

static void take_frozen(void *p, size_t size)
{
	free_frozen_pages(virt_to_page(p), order_of(size));
}

/* With a NULL, which is left out. */
static void take_cache_bulk(void *p, size_t size)
{
	(void)size;
	kmem_cache_free_bulk(plain, 2, (void *[]){ NULL, p });
}

static void take_cache_bulk_nolock(void *p, size_t size)
{
	(void)size;
	kmem_cache_free_bulk_nolock(plain, 2, (void *[]){ NULL, p });
}

static void take_kfree_bulk(void *p, size_t size)
{
	(void)size;
	kfree_bulk(2, (void *[]){ p, NULL });
}

static void take_kfree_bulk_nolock(void *p, size_t size)
{
	(void)size;
	kfree_bulk_nolock(2, (void *[]){ p, NULL });
}

static void take_pool(void *p, size_t size)
{
	(void)size;
	mempool_free(p, pool);
}

/* When nobody reads any more: it is back before the case looks at the pages. */
static void take_rcu_nolock(void *p, size_t size)
{
	(void)size;
	EXPECT(kfree_rcu_nolock(p));
}

static void free_plain(struct rcu_head *head)
{
	kmem_cache_free_nolock(plain, head);
}

static void take_call_rcu(void *p, size_t size)
{
	(void)size;
	call_rcu(p, free_plain);
}

struct with_head {
	u64 before;
	struct rcu_head head;
};

static void take_kfree_rcu(void *p, size_t size)
{
	struct with_head *w = p;

	(void)size;
	kfree_rcu(w, head);
}

/* ---- who gives what, and who takes it back: nolock is the way of any context ---- */

enum kind { OBJECT, ONE_SIZE, BLOCK };

static const struct giver {
	const char *name;
	void *(*give)(size_t size);
	void (*take)(void *p, size_t size), (*take_nolock)(void *p, size_t size);
	enum kind kind;
	bool nolock, zero;
} givers[] = {
	{ "kmalloc", give_kmalloc, take_kfree, take_kfree_nolock, OBJECT, false, false },
	{ "kzalloc", give_kzalloc, take_kfree, take_kfree_nolock, OBJECT, false, true },
	{ "kmalloc_node", give_kmalloc_node, take_kfree, take_kfree_nolock, OBJECT, false, false },
	{ "kmalloc, constant", give_kmalloc_constant, take_kfree, take_kfree_nolock, ONE_SIZE, false, false },
	{ "krealloc", give_krealloc, take_kfree, take_kfree_nolock, OBJECT, false, false },
	{ "kmalloc_nolock", give_nolock, take_kfree, take_kfree_nolock, OBJECT, true, false },
	{ "kmalloc_nolock, node 0", give_nolock_node, take_kfree, take_kfree_nolock, OBJECT, true, false },
	{ "kmalloc_nolock, zero", give_nolock_zero, take_kfree, take_kfree_nolock, OBJECT, true, true },
	{ "kmalloc_nolock, constant", give_nolock_constant, take_kfree, take_kfree_nolock, ONE_SIZE, true, false },
	{ "kmem_cache_alloc", give_cache, take_kmem_cache, take_kmem_cache_nolock, ONE_SIZE, false, false },
	{ "kmem_cache_alloc_nolock", give_cache_nolock, take_kfree, take_kmem_cache_nolock, ONE_SIZE, true, true },
	{ "kmem_cache_alloc_bulk", give_bulk, take_cache_bulk, take_cache_bulk_nolock, ONE_SIZE, false, false },
	{ "kmem_cache_alloc_bulk_nolock", give_bulk_nolock, take_kfree_bulk, take_kfree_bulk_nolock, ONE_SIZE, true, true },
	{ "mempool_alloc", give_pool, take_pool, take_pool, ONE_SIZE, true, false },
	{ "kmalloc_nolock, kfree_rcu", give_nolock_constant, take_kfree_rcu, take_rcu_nolock, ONE_SIZE, true, false },
	{ "kmem_cache_alloc_nolock, call_rcu", give_cache_nolock, take_call_rcu, take_call_rcu, ONE_SIZE, true, true },
	{ "constructed", give_constructed, take_constructed, take_constructed, ONE_SIZE, true, false },
	{ "alloc_pages", give_pages, take_pages, take_pages_nolock, BLOCK, false, false },
	{ "alloc_pages_node", give_pages_node, take_pages, take_pages_nolock, BLOCK, false, false },
	{ "alloc_pages_nolock", give_pages_nolock, take_pages, take_pages_nolock, BLOCK, true, true },
	{ "alloc_frozen_pages_nolock", give_frozen, take_frozen, take_frozen, BLOCK, true, false },
};

static const size_t sizes[] = { 1, 8, 24, 64, 96, 128, 192, 200, 512, 1000, 2048, 4096, 8192, 8193, 30000, 131072,
				1 << 20, 2 << 20, KMALLOC_MAX_SIZE };

/* ---- what is held is as it was given ---- */

static void complain(const struct giver *g, size_t size, const void *p, const char *what)
{
	test_fail(__FILE__, __LINE__, "%s, size %lu, in %s of CPU %u: %lx %s", g->name, size,
		  context_name(current_context()), smp_processor_id(), (u64)p, what);
}

static size_t at_end(size_t size)
{
	return size > 2 * LOOKED_AT ? size - LOOKED_AT : 0;
}

static size_t at_start(size_t size)
{
	return size > 2 * LOOKED_AT ? LOOKED_AT : size;
}

static bool is_zero(const char *p, size_t size)
{
	while (size && !p[size - 1])
		size--;
	return !size;
}

/* What a power of two is aligned to is itself, to a page at most; what else has no alignment
 * of its own, to 8, and from 9 bytes on to 16. */
static bool well_placed(const struct giver *g, const void *p, size_t size)
{
	size_t align = g->kind == BLOCK ? PAGE_SIZE << order_of(size) : g->kind == OBJECT && size > 8 ? 16 : 8;

	if (g->kind == OBJECT && !(size & (size - 1)) && size > align)
		align = size < PAGE_SIZE ? size : PAGE_SIZE;
	return !((u64)p & (align - 1));
}

static void fill(const struct giver *g, char *p, size_t size)
{
	if (g->give == give_constructed)
		return;
	if (at_end(size))
		pattern_fill(p + at_end(size), LOOKED_AT);
	pattern_fill(p, at_start(size));
}

static void check_new(const struct giver *g, char *p, size_t size)
{
	if (!well_placed(g, p, size))
		complain(g, size, p, "is not aligned");
	if (g->kind != BLOCK && ksize(p) < size)
		complain(g, size, p, "is too small");
	if (g->zero && !(is_zero(p, at_start(size)) && (!at_end(size) || is_zero(p + at_end(size), LOOKED_AT))))
		complain(g, size, p, "is not zero");
}

static void check_old(const struct giver *g, char *p, size_t size)
{
	bool good = g->give == give_constructed ? *(u64 *)p == BUILT : pattern_ok(p, at_start(size)) &&
		    (!at_end(size) || pattern_ok(p + at_end(size), LOOKED_AT));

	if (!good)
		complain(g, size, p, "was overwritten");
}

/* ---- in the context ---- */

static void get_one(unsigned int giver, size_t size)
{
	const struct giver *g = &givers[giver];
	void *p = g->give(size);

	calls++;
	if (!p) {
		nulls++;
		complain(g, size, p, "although memory is free");
		return;
	}
	check_new(g, p, size);
	fill(g, p, size);
	held[nr_held++] = (struct had){ p, size, giver };
}

static void get_all(void *unused)
{
	u64 flags = irqs_off ? arch_irq_save() : 0;

	(void)unused;
	for (unsigned int i = 0; i < ARRAY_SIZE(givers); i++) {
		if (nolock_only && !givers[i].nolock)
			continue;
		/* Not all of them at once: a part of the sizes in each turn. */
		for (unsigned int k = turn % 3; k < ARRAY_SIZE(sizes) && nr_held < MOST_HELD; k += 3)
			if (givers[i].kind != ONE_SIZE && (sizes[k] < LARGE || (i + turn) % 4 == 0))
				get_one(i, sizes[k]);
		if (givers[i].kind == ONE_SIZE && nr_held < MOST_HELD)
			get_one(i, turn & 1 ? 64 : CACHE_SIZE);
	}
	if (irqs_off)
		arch_irq_restore(flags);
}

/* From both ends by turns, so that no slab is emptied in order. */
static void put_all(void *unused)
{
	u64 flags = irqs_off ? arch_irq_save() : 0;

	(void)unused;
	for (unsigned int i = 0; i < nr_held; i++) {
		const struct had *h = &held[i & 1 ? nr_held - 1 - i / 2 : i / 2];
		const struct giver *g = &givers[h->giver];

		check_old(g, h->p, h->size);
		((turn + i) & 1 || nolock_only ? g->take_nolock : g->take)(h->p, h->size);
		calls++;
	}
	nr_held = 0;
	if (irqs_off)
		arch_irq_restore(flags);
}

static struct llist_head last_pages;

/* To the last: then nothing is free anywhere. */
static void take_last(void *unused)
{
	u64 flags = irqs_off ? arch_irq_save() : 0, before = nr_free_pages();
	struct page *page;

	(void)unused;
	while ((page = alloc_pages_nolock(0, NUMA_NO_NODE, 0))) {
		llist_add(page_address(page), &last_pages);
		pages_taken++;
		before--;
	}
	EXPECT_EQ(before, 0);
	EXPECT_EQ(nr_free_pages(), 0);
	if (irqs_off)
		arch_irq_restore(flags);
}

static void give_last(void *unused)
{
	u64 flags = irqs_off ? arch_irq_save() : 0;
	struct llist_node *n = llist_del_all(&last_pages);

	(void)unused;
	while (n) {
		struct llist_node *next = n->next;

		free_pages_nolock(virt_to_page(n), 0);
		n = next;
	}
	if (irqs_off)
		arch_irq_restore(flags);
}

/* ---- a case ---- */

#define TURNS 12

static void on_cpu(enum context ctx, unsigned int cpu)
{
	unsigned int other = num_online_cpus() - 1 - cpu;

	for (turn = 0; turn < TURNS; turn++) {
		run_in(ctx, cpu, get_all, NULL);
		run_in(ctx, turn & 2 ? other : cpu, put_all, NULL);
	}
	rcu_barrier();
}

static void to_the_last(enum context ctx, unsigned int cpu)
{
	mm_quiesce();
	ballast_take(LEFT_PAGES);
	run_in(ctx, cpu, take_last, NULL);
	run_in(ctx, cpu, give_last, NULL);
	ballast_give();
}

static void in_context(enum context ctx, bool off)
{
	nolock_only = ctx == CTX_NMI || ctx == CTX_DEBUG;
	irqs_off = off;
	calls = pages_taken = nulls = 0;
	plain = kmem_cache_create("matrix-plain", CACHE_SIZE, 0, 0, NULL);
	constructed = kmem_cache_create("matrix-built", CACHE_SIZE, 0, 0, build);
	REQUIRE(plain && constructed);
	pool = mempool_create_slab_pool(1, plain);
	REQUIRE(pool != NULL);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		on_cpu(ctx, cpu);
	to_the_last(ctx, 0);
	to_the_last(ctx, num_online_cpus() - 1);
	EXPECT_EQ(mempool_destroy(pool), 0);
	EXPECT_EQ(kmem_cache_destroy(plain), 0);
	EXPECT_EQ(kmem_cache_destroy(constructed), 0);
	EXPECT_EQ(nulls, 0);
	EXPECT(calls && pages_taken);
	test_note("%lu calls on %u CPUs, %lu pages to the last one", calls, num_online_cpus(), pages_taken);
}

TEST(matrix, thread, "all calls in threads: what was asked for, whole, and NULL after the last page only")
{
	in_context(CTX_THREAD, false);
}

TEST(matrix, irq_off, "the same with interrupts off")
{
	in_context(CTX_THREAD, true);
}

TEST(matrix, irq, "the same in interrupts")
{
	in_context(CTX_IRQ, false);
}

TEST(matrix, nmi, "the same in NMIs, by the calls that may be made there")
{
	in_context(CTX_NMI, false);
}

TEST(matrix, breakpoint, "the same in breakpoints")
{
	in_context(CTX_DEBUG, false);
}
