/*
 * alloc_op.c - one step of a sequence: a call of the allocator with what it is to get,
 * and what must hold of what it returns.
 *
 * An operation takes three numbers and makes of them what it needs: any will do. In an
 * NMI or a breakpoint the calls ending in _nolock are made, elsewhere either; what only a
 * thread may call is left out in other contexts.
 *
 * NULL is right only if a failure was injected meanwhile, if the call was bad (then it has
 * been reported), or if memory_is_there says no.
 */
#include "fuzz/alloc.h"
#include "kernel/context.h"
#include "mm/fail.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include <stdio.h>
#include <string.h>

#define MAX_CACHES_HERE 6
#define FIRST_BYTE 0xc0 /* of what constructors leave, with the cache's number */

u64 reports_wanted;

static struct {
	struct kmem_cache *s;
	u32 size, align, objects; /* objects: in use */
	bool ctor;
} pool[MAX_CACHES_HERE];

static const u16 classes[] = { 8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384,
			      448, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
			      3584, 4096, 5120, 6144, 7168, 8192 };

static u64 seeds;
static u64 injected; /* failures, when the call under way began */
static const void *last_freed; /* by kfree, and nothing else was allocated there as far as one knows */

/* ---- arguments ---- */

static bool must_not_wait(void)
{
	return current_context() == CTX_NMI || current_context() == CTX_DEBUG;
}

static bool in_cpu0_thread(void)
{
	return in_thread() && !smp_processor_id() && !is_nested;
}

/* Small ones, all up to 16 KiB, those near a class, and whole pages up to beyond the most. */
static u64 size_of(u16 n)
{
	u64 v = n & 0x3fff;

	switch (n >> 14) {
	case 0: return v & 0x3ff;
	case 1: return v;
	case 2: return classes[v % ARRAY_SIZE(classes)] + (v >> 8) % 3 - 1;
	default: return ((v & 0x4ff) << PAGE_SHIFT) + (v >> 11);
	}
}

static int nid_of(u16 n)
{
	return (n >> 8) % 4 < 2 ? NUMA_NO_NODE : (n >> 8) % 4 - 2;
}

static gfp_t gfp_of(u16 n)
{
	gfp_t gfp = n & 1 ? __GFP_ZERO : 0;

	if (n & 2 && nid_of(n) >= 0)
		gfp |= __GFP_THISNODE;
	return gfp | (n & 4 ? __GFP_RECLAIM : 0) | (n & 8 ? __GFP_HIGH : 0) | (n & 16 ? __GFP_NOWARN : 0);
}

/* The class of a size that has one. */
static unsigned int class_of(u64 size)
{
	unsigned int i = 0;

	while (classes[i] < size)
		i++;
	return i;
}

static unsigned int order_of(u64 size)
{
	unsigned int order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;
	return order;
}

static u64 usable_of(u64 size)
{
	return size <= KMALLOC_MAX_CACHE_SIZE ? classes[class_of(size)] : PAGE_SIZE << order_of(size);
}

/* The i-th block of one of these kinds (bits), counted round; -1: there is none. */
static int choose(u16 i, unsigned int kinds)
{
	for (unsigned int k = 0; k < nr_blocks; k++) {
		unsigned int at = (i + k) % nr_blocks;

		if (kinds >> blocks[at].kind & 1)
			return (int)at;
	}
	return -1;
}

static int cache_choose(u16 i)
{
	for (unsigned int k = 0; k < MAX_CACHES_HERE; k++)
		if (pool[(i + k) % MAX_CACHES_HERE].s)
			return (int)((i + k) % MAX_CACHES_HERE);
	return -1;
}

static bool room(void)
{
	return nr_blocks < MAX_BLOCKS - 2; /* a nested call may want one too */
}

/* ---- results ---- */

static void call_begin(void)
{
	injected = fail_injected(FAIL_SLAB) + fail_injected(FAIL_PAGE);
	step_begin();
}

static void null_check(const char *call, unsigned int order, const struct kmem_cache *s, gfp_t gfp, int nid)
{
	if (fail_injected(FAIL_SLAB) + fail_injected(FAIL_PAGE) != injected)
		return;
	if (memory_is_there(order, s, gfp & __GFP_THISNODE ? nid : -1))
		fuzz_fail("%s: NULL while memory is there: order %u, cache %s, node %d, %s, %lu pages free", call,
			  order, s ? s->name : "none", nid, context_name(current_context()), nr_free_pages());
}

static void node_check(const void *p, gfp_t gfp, int nid)
{
	if (gfp & __GFP_THISNODE && page_to_nid(virt_to_page(p)) != nid)
		fuzz_fail("%lx is not on node %d", (u64)p, nid);
}

static void align_check(const void *p, u64 align)
{
	if ((u64)p & (align - 1))
		fuzz_fail("%lx is not aligned to %lu", (u64)p, align);
}

/* Constructed objects stay so while they are nobody's; users see to that. */
static u8 constructed(unsigned int cache)
{
	return (u8)(FIRST_BYTE + cache);
}

static void take(struct block b, bool zero)
{
	b.seed = ++seeds * 0x10001;
	b.refs = 1;
	block_add(b);
	if (zero)
		block_check_zero(&b, 0, b.usable);
	if (b.kind == BLOCK_OBJECT && pool[b.cache].ctor)
		for (u64 i = 0; i < b.usable; i++)
			FUZZ_CHECK(b.p[i] == constructed(b.cache));
	block_fill(&b);
}

static void kmalloc_result(const char *call, void *p, u64 size, gfp_t gfp, int nid)
{
	const struct kmem_cache *s = size <= KMALLOC_MAX_CACHE_SIZE ? &caches[class_of(size) + 1] : NULL;
	u64 usable = usable_of(size);

	if (size > KMALLOC_MAX_SIZE) {
		reports_wanted++;
		FUZZ_CHECK(!p);
		return;
	}
	if (!size) {
		FUZZ_CHECK(p == ZERO_SIZE_PTR && !ksize(p));
		return;
	}
	if (!p) {
		null_check(call, s ? s->min_order : order_of(size), s, gfp, nid);
		return;
	}
	if (ksize(p) != usable)
		fuzz_fail("%s(%lu): %lu bytes are usable", call, size, ksize(p));
	align_check(p, usable & (usable - 1) ? 8 : usable < PAGE_SIZE ? usable : PAGE_SIZE);
	node_check(p, gfp, nid);
	take((struct block){ .p = p, .usable = usable, .kind = BLOCK_KMALLOC }, gfp & __GFP_ZERO);
}

/* ---- allocation ---- */

static void op_kmalloc(const struct op *op)
{
	static const char *const calls[] = { "kmalloc", "kzalloc", "kmalloc_node", "kmalloc_nolock" };
	unsigned int how = must_not_wait() ? 3 : (op->b >> 5) % 4;
	int nid = how >= 2 ? nid_of(op->b) : NUMA_NO_NODE;
	gfp_t gfp = gfp_of(op->b);
	u64 size = size_of(op->a);
	void *p;

	if (!room())
		return;
	if (nid == NUMA_NO_NODE)
		gfp &= ~__GFP_THISNODE;
	call_begin();
	switch (how) {
	case 0: p = kmalloc(size, gfp); break;
	case 1: p = kzalloc(size, gfp); break;
	case 2: p = kmalloc_node(size, gfp, nid); break;
	default: p = kmalloc_nolock(size, gfp, nid);
	}
	step_end();
	kmalloc_result(calls[how], p, size, how == 1 ? gfp | __GFP_ZERO : gfp, nid);
}

static void op_pages(const struct op *op)
{
	static const char *const calls[] = { "alloc_pages", "alloc_pages_node", "alloc_pages_nolock",
					     "alloc_frozen_pages_nolock" };
	unsigned int how = (op->b >> 5) % 4, order = op->a % NR_ORDERS;
	int nid = how ? nid_of(op->b) : NUMA_NO_NODE;
	gfp_t gfp = gfp_of(op->b);
	struct page *page;
	void *p;

	if (!room())
		return;
	if (how < 2 && must_not_wait())
		how = 2;
	if (nid == NUMA_NO_NODE)
		gfp &= ~__GFP_THISNODE;
	call_begin();
	switch (how) {
	case 0: page = alloc_pages(gfp, order); break;
	case 1: page = alloc_pages_node(nid, gfp, order); break;
	case 2: page = alloc_pages_nolock(gfp, nid, order); break;
	default: page = alloc_frozen_pages_nolock(gfp, nid, order);
	}
	step_end();
	if (!page) {
		null_check(calls[how], order, NULL, gfp, nid);
		return;
	}
	p = page_address(page);
	align_check(p, PAGE_SIZE << order);
	node_check(p, gfp, nid);
	FUZZ_CHECK(page_ref_count(page) == (how < 3) && virt_to_page(p) == page);
	FUZZ_CHECK(pfn_to_page(page_to_pfn(page)) == page);
	take((struct block){ .p = p, .usable = PAGE_SIZE << order, .order = (u8)order,
			     .kind = how < 3 ? BLOCK_PAGES : BLOCK_FROZEN }, gfp & __GFP_ZERO);
}

static void op_object(const struct op *op)
{
	int i = cache_choose(op->a), nid = nid_of(op->b);
	bool nolock = must_not_wait() || op->b & 32;
	gfp_t gfp = gfp_of(op->b);
	void *p;

	if (i < 0 || !room())
		return;
	if (!nolock)
		nid = NUMA_NO_NODE, gfp &= ~__GFP_THISNODE;
	call_begin();
	p = nolock ? kmem_cache_alloc_nolock(pool[i].s, gfp, nid) : kmem_cache_alloc(pool[i].s, gfp);
	step_end();
	if (!p) {
		null_check("kmem_cache_alloc", pool[i].s->min_order, pool[i].s, gfp, nid);
		return;
	}
	FUZZ_CHECK(ksize(p) == pool[i].size);
	align_check(p, pool[i].align);
	node_check(p, gfp, nid);
	pool[i].objects++;
	take((struct block){ .p = p, .usable = pool[i].size, .kind = BLOCK_OBJECT, .cache = (u8)i },
	     gfp & __GFP_ZERO && !pool[i].ctor);
}

/* ---- free ---- */

static void release_kmalloc(const struct block *b, u16 how)
{
	step_begin();
	if (must_not_wait() || how & 1)
		kfree_nolock(b->p);
	else
		kfree(b->p);
	step_end();
	last_freed = b->p;
}

static void release_object(const struct block *b, u16 how)
{
	if (how & 2) {
		release_kmalloc(b, how);
		last_freed = NULL; /* the cache may go */
		return;
	}
	step_begin();
	if (must_not_wait() || how & 1)
		kmem_cache_free_nolock(pool[b->cache].s, b->p);
	else
		kmem_cache_free(pool[b->cache].s, b->p);
	step_end();
}

static void release_pages(const struct block *b, u16 how)
{
	struct page *page = virt_to_page(b->p);

	step_begin();
	if (b->kind == BLOCK_FROZEN)
		free_frozen_pages(page, b->order);
	else if (how & 2)
		put_page(page);
	else if (how & 4)
		kfree_nolock(b->p);
	else if (must_not_wait() || how & 1)
		free_pages_nolock(page, b->order);
	else
		free_pages(page, b->order);
	step_end();
}

/* One of several references: it stays. */
static void drop_reference(unsigned int i, u16 how)
{
	struct block b = blocks[i];

	blocks[i].refs--;
	release_pages(&b, how);
}

static void release(unsigned int i, u16 how)
{
	struct block b;

	block_check(&blocks[i], blocks[i].usable);
	if (blocks[i].refs > 1) {
		drop_reference(i, how);
		return;
	}
	b = block_remove(i);
	if (b.kind == BLOCK_OBJECT) {
		if (pool[b.cache].ctor)
			memset(b.p, constructed(b.cache), b.usable);
		pool[b.cache].objects--;
		release_object(&b, how);
	} else if (b.kind == BLOCK_KMALLOC) {
		release_kmalloc(&b, how);
	} else {
		release_pages(&b, how);
	}
}

static void op_free(const struct op *op)
{
	if (nr_blocks)
		release(op->a % nr_blocks, op->b);
}

static void op_get_page(const struct op *op)
{
	int i = choose(op->a, 1u << BLOCK_PAGES);

	if (i < 0 || blocks[i].refs > 5)
		return;
	blocks[i].refs++;
	step_begin();
	get_page(virt_to_page(blocks[i].p));
	step_end();
}

static void op_look(const struct op *op)
{
	int i = choose(op->a, ~0u);

	if (i < 0)
		return;
	block_check(&blocks[i], blocks[i].usable);
	FUZZ_CHECK(ksize(blocks[i].p) == blocks[i].usable);
	if (blocks[i].kind == BLOCK_PAGES)
		FUZZ_CHECK(page_ref_count(virt_to_page(blocks[i].p)) == blocks[i].refs);
}

/* ---- many at once ---- */

#define MANY 12

/* All or none. With none those before the last one have gone back, so memory may be there
 * again; for a single one the rule is that of a single call. */
static void alloc_many(int i, const struct op *op, size_t n)
{
	bool nolock = must_not_wait() || op->b & 32;
	int nid = nolock ? nid_of(op->b) : NUMA_NO_NODE;
	gfp_t gfp = nolock ? gfp_of(op->b) : gfp_of(op->b) & ~__GFP_THISNODE;
	void *objs[MANY];
	size_t got;

	call_begin();
	got = nolock ? kmem_cache_alloc_bulk_nolock(pool[i].s, gfp, nid, n, objs) :
		       kmem_cache_alloc_bulk(pool[i].s, gfp, n, objs);
	step_end();
	FUZZ_CHECK(got == n || !got);
	if (!got && n == 1)
		null_check("kmem_cache_alloc_bulk", pool[i].s->min_order, pool[i].s, gfp, nid);
	for (size_t k = 0; k < got; k++) {
		FUZZ_CHECK(ksize(objs[k]) == pool[i].size);
		align_check(objs[k], pool[i].align);
		node_check(objs[k], gfp, nid);
		pool[i].objects++;
		take((struct block){ .p = objs[k], .usable = pool[i].size, .kind = BLOCK_OBJECT, .cache = (u8)i },
		     gfp & __GFP_ZERO && !pool[i].ctor);
	}
}

/* The next one, from the at-th block on, that such a call may free: of that cache, or of
 * any (-1) and of kmalloc; it is nobody's any more. NULL: there is none. */
static void *give_up_one(u16 at, int cache)
{
	for (unsigned int k = 0; k < nr_blocks; k++) {
		unsigned int i = (at + k) % nr_blocks;
		struct block b = blocks[i];

		if (b.refs > 1 || !(b.kind == BLOCK_OBJECT ? cache < 0 || b.cache == cache :
						  b.kind == BLOCK_KMALLOC && cache < 0))
			continue;
		block_check(&b, b.usable);
		block_remove(i);
		if (b.kind == BLOCK_OBJECT && pool[b.cache].ctor)
			memset(b.p, constructed(b.cache), b.usable);
		if (b.kind == BLOCK_OBJECT)
			pool[b.cache].objects--;
		return b.p;
	}
	return NULL;
}

/* What is not there is NULL, which is left out. */
static void free_many(int i, const struct op *op, size_t n)
{
	bool nolock = must_not_wait() || op->b & 32, any = op->b & 64;
	void *objs[MANY];

	for (size_t k = 0; k < n; k++)
		objs[k] = give_up_one(op->a, any ? -1 : i);
	last_freed = NULL;
	step_begin();
	if (any && nolock)
		kfree_bulk_nolock(n, objs);
	else if (any)
		kfree_bulk(n, objs);
	else if (nolock)
		kmem_cache_free_bulk_nolock(pool[i].s, n, objs);
	else
		kmem_cache_free_bulk(pool[i].s, n, objs);
	step_end();
}

static void op_many(const struct op *op)
{
	int i = cache_choose(op->a);
	size_t n = 1 + (op->a >> 8) % MANY;

	if (i < 0 || nr_blocks + n >= MAX_BLOCKS - 2)
		return;
	if (op->b & 128)
		free_many(i, op, n);
	else
		alloc_many(i, op, n);
}

/* ---- krealloc ---- */

/* What it returned, in place of the old one, of which the first n bytes are kept. */
static void replace(struct block old, void *p, u64 size, gfp_t gfp)
{
	struct block now = old;
	u64 n = size < old.usable ? size : old.usable;

	now.p = p;
	if (p != old.p) {
		now = (struct block){ .p = p, .usable = usable_of(size), .kind = BLOCK_KMALLOC, .seed = old.seed };
		FUZZ_CHECK(ksize(p) == now.usable);
	}
	now.refs = 1;
	block_add(now);
	/* As the old one was filled; beyond n it may be anything, or zero. */
	old.p = p;
	block_check(&old, n < old.usable ? n & ~7UL : n);
	if (gfp & __GFP_ZERO)
		block_check_zero(&now, n, now.usable);
	block_fill(&now);
}

static bool can_be_moved(const struct block *b)
{
	return b->refs == 1 && b->kind != BLOCK_FROZEN && !(b->kind == BLOCK_OBJECT && pool[b->cache].ctor);
}

static void op_krealloc(const struct op *op)
{
	int i = choose(op->c, ~(1u << BLOCK_FROZEN));
	u64 size = size_of(op->a);
	gfp_t gfp = gfp_of(op->b & 0xff);
	struct block old;
	void *p;

	if (i < 0 || must_not_wait() || !can_be_moved(&blocks[i]) || !room())
		return;
	block_check(&blocks[i], blocks[i].usable);
	old = block_remove((unsigned int)i);
	call_begin();
	p = krealloc(old.p, size, gfp);
	step_end();
	if (size > KMALLOC_MAX_SIZE)
		reports_wanted++;
	if (!size)
		FUZZ_CHECK(p == ZERO_SIZE_PTR);
	if (!p) {
		FUZZ_CHECK(size > old.usable);
		if (size <= KMALLOC_MAX_SIZE)
			null_check("krealloc", size <= KMALLOC_MAX_CACHE_SIZE ? caches[class_of(size) + 1].min_order :
				   order_of(size), NULL, gfp, NUMA_NO_NODE);
		block_add(old);
		block_check(&old, old.usable);
		return;
	}
	if (old.kind == BLOCK_OBJECT && p != old.p)
		pool[old.cache].objects--;
	if (size)
		replace(old, p, size, gfp);
}

/* ---- caches ---- */

static void make_0(void *p) { memset(p, FIRST_BYTE + 0, pool[0].size); }
static void make_1(void *p) { memset(p, FIRST_BYTE + 1, pool[1].size); }
static void make_2(void *p) { memset(p, FIRST_BYTE + 2, pool[2].size); }
static void make_3(void *p) { memset(p, FIRST_BYTE + 3, pool[3].size); }
static void make_4(void *p) { memset(p, FIRST_BYTE + 4, pool[4].size); }
static void make_5(void *p) { memset(p, FIRST_BYTE + 5, pool[5].size); }
static void (*const constructors[MAX_CACHES_HERE])(void *) = { make_0, make_1, make_2, make_3, make_4, make_5 };

static u32 align_of(u64 size, u64 align, unsigned int flags)
{
	u32 line = 8;

	if (flags & SLAB_HWCACHE_ALIGN)
		while (line < 64 && line < size)
			line *= 2;
	return align > line ? (u32)align : line;
}

static void op_cache_create(const struct op *op)
{
	u64 size = op->a & 0x8000 ? op->a % 8195 : op->a % 300, align = op->b & 0xf ? 1UL << (op->b & 0xf) >> 1 : 0;
	unsigned int flags = op->b & 16 ? SLAB_HWCACHE_ALIGN : 0, i = op->c % MAX_CACHES_HERE;
	bool bad = !size || size > KMALLOC_MAX_CACHE_SIZE || align > PAGE_SIZE || pool[i].s;
	struct kmem_cache *s;
	char name[16];

	if (!in_cpu0_thread())
		return;
	snprintf(name, sizeof(name), "fuzz-%u", i);
	if (!pool[i].s) {
		pool[i].size = (u32)size;
		pool[i].align = align_of(size, align, flags);
		pool[i].ctor = op->b & 32;
	}
	last_freed = NULL;
	call_begin();
	s = kmem_cache_create(name, size, align, flags, op->b & 32 ? constructors[i] : NULL);
	step_end();
	if (!s) {
		reports_wanted += bad; /* want of memory is not reported */
		if (!bad)
			null_check("kmem_cache_create", 1, &caches[class_of(8192) + 1], 0, -1);
		return;
	}
	FUZZ_CHECK(!bad && kmem_cache_size(s) == size);
	pool[i].s = s;
}

static void op_cache_destroy(const struct op *op)
{
	int i = cache_choose(op->a), result;

	if (i < 0 || !in_cpu0_thread())
		return;
	last_freed = NULL;
	/* Not interrupted: who still allocates from it breaks the rules. */
	result = kmem_cache_destroy(pool[i].s);
	FUZZ_CHECK(result == (pool[i].objects ? -EBUSY : 0));
	if (pool[i].objects)
		reports_wanted++;
	else
		pool[i].s = NULL;
}

static void op_shrink(const struct op *op)
{
	int i = cache_choose(op->a);

	if (i < 0 || !in_cpu0_thread())
		return;
	step_begin();
	kmem_cache_shrink(pool[i].s);
	step_end();
}

/* ---- all of it ---- */

static void op_barrier(const struct op *op)
{
	(void)op;
	if (!in_cpu0_thread())
		return;
	defer_free_barrier();
	for (unsigned int cpu = 0; cpu < 2; cpu++)
		FUZZ_CHECK(!defer_count(cpu));
}

static void op_quiesce(const struct op *op)
{
	if (!in_cpu0_thread())
		return;
	if (op->a & 1)
		mm_quiesce();
	FUZZ_CHECK(!mm_check());
}

/* One of them, of each so many, or by chance. */
static void op_fail(const struct op *op)
{
	struct fail_setup setup = { .seed = op->c, .at_hand = op->a & 8 };
	struct fail_knobs *k = &setup.layer[op->a & 1 ? FAIL_PAGE : FAIL_SLAB];

	if (!in_cpu0_thread())
		return;
	fail_disarm();
	switch (op->a >> 1 & 3) {
	case 0: return;
	case 1: k->nth = op->b % 64 + 1u; break;
	case 2: k->interval = op->b % 32 + 1u; break;
	case 3: k->per_million = op->b * 16u; break;
	}
	k->contexts = op->a >> 4 & 15;
	k->orders = op->a & 1 ? op->c & 0x7ff : 0;
	fail_arm(&setup);
}

/* ---- bad calls: each is reported, and has no effect ---- */

static void bad_inside(const struct op *op)
{
	int i = choose(op->b, ~0u);

	if (i < 0 || blocks[i].usable < 16)
		return;
	reports_wanted++;
	kfree_nolock(blocks[i].p + 8);
}

static void bad_order(const struct op *op)
{
	int i = choose(op->b, 1u << BLOCK_PAGES);

	if (i < 0)
		return;
	reports_wanted++;
	free_pages_nolock(virt_to_page(blocks[i].p), blocks[i].order ^ 1);
}

static void bad_twice(const struct op *op)
{
	(void)op;
	if (!last_freed || block_owns(last_freed))
		return;
	reports_wanted++;
	kfree_nolock(last_freed);
	last_freed = NULL;
}

static void bad_cache(const struct op *op)
{
	int i = choose(op->b, 1u << BLOCK_KMALLOC), c = cache_choose(op->b);

	if (i < 0 || c < 0)
		return;
	reports_wanted++;
	kmem_cache_free_nolock(pool[c].s, blocks[i].p);
}

static void bad_arguments(const struct op *op)
{
	reports_wanted += 3;
	FUZZ_CHECK(!alloc_pages_nolock(0, NUMA_NO_NODE, NR_ORDERS + op->b));
	FUZZ_CHECK(!kmalloc_nolock(op->b, 1u << 9, NUMA_NO_NODE));
	FUZZ_CHECK(!kmalloc_nolock(op->b % 9000, 0, 2));
	kfree_nolock(NULL);
	kfree_nolock(ZERO_SIZE_PTR);
}

static void bad_frozen(const struct op *op)
{
	int i = choose(op->b, 1u << BLOCK_FROZEN);

	if (i < 0)
		return;
	reports_wanted++;
	free_pages_nolock(virt_to_page(blocks[i].p), blocks[i].order);
}

static void op_bad(const struct op *op)
{
	static void (*const bad[])(const struct op *) = { bad_inside, bad_order, bad_twice, bad_cache,
							  bad_arguments, bad_frozen };

	if (!is_nested)
		bad[op->a % ARRAY_SIZE(bad)](op);
}

/* ---- which is which ---- */

static void (*const ops[])(const struct op *) = {
	op_kmalloc, op_free, op_pages, op_object, op_krealloc, op_cache_create, op_cache_destroy, op_fail,
	op_look, op_get_page, op_shrink, op_barrier, op_quiesce, op_bad, op_many,
};
#define FIRST_OPS 14     /* what the corpus' older inputs choose from */
#define LATER_FROM 0xe0  /* a byte from here on chooses from the others */

void op_read(struct op *op, struct fuzz_input *in)
{
	u8 n = fuzz_u8(in);

	op->kind = n < LATER_FROM ? n % FIRST_OPS : FIRST_OPS + n % (ARRAY_SIZE(ops) - FIRST_OPS);
	op->a = fuzz_u16(in);
	op->b = fuzz_u16(in);
	op->c = op->kind >= 4 && op->kind <= 7 ? fuzz_u16(in) : 0;
}

/* The interrupted call has not yet looked at how many failures were injected. */
void op_run(const struct op *op)
{
	u64 outer = injected;

	ops[op->kind](op);
	if (is_nested)
		injected = outer;
}

void op_free_all(void)
{
	fail_disarm();
	while (nr_blocks)
		release(nr_blocks / 2, (u16)nr_blocks);
	for (unsigned int i = 0; i < MAX_CACHES_HERE; i++) {
		FUZZ_CHECK(!pool[i].objects);
		if (pool[i].s)
			FUZZ_CHECK(!kmem_cache_destroy(pool[i].s));
		pool[i].s = NULL;
	}
	last_freed = NULL;
	seeds = 0;
}
