/*
 * workload_block.c - the blocks of the main job, and the patterns in them.
 *
 * A block's identity (address, size, kind, who filled it) is packed into one word
 * that travels outside of the block; the pattern in it is made from that word. So
 * whoever gets the word can check the block, whatever has been written over it, and
 * two blocks that overlap do not agree on what is in there.
 *
 * Invariant: between block_fill and block_check a block holds its pattern. What is
 * about to be freed does not hold it any more: a second owner would notice.
 *
 * Any context but for the caches' creation and destruction; no state but the caches,
 * which are constant while there are blocks, and the count of errors.
 */
#include "kernel/workload_block.h"
#include <anyctx/memcg.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <arch/machine.h>
#include "kernel/context.h"
#include "kernel/printk.h"
#include "kernel/workload_memcg.h"
#include "lib/string.h"

#define ODD 0x9e3779b97f4a7c15UL
/* In blocks of more words, one of STRIDE is looked at: all offsets in a page, in turn. */
#define DENSE_WORDS 512
#define STRIDE 61
#define ERRORS_PRINTED 20

static u64 errors;

/* ---- patterns ---- */

/* Word i is first + i * step. */
struct pattern {
	u64 first, step;
};

static struct pattern pattern_of(const struct block *b)
{
	u64 x = block_pack(b) * ODD;

	x = (x ^ x >> 32) * ODD;
	return (struct pattern){ .first = x ^ x >> 31, .step = x | 1 };
}

static struct pattern constructed(const void *obj)
{
	return (struct pattern){ .first = ~(u64)obj * ODD, .step = ~ODD };
}

/* The word after i to write or look at; the last one is always among them. */
static size_t next_word(size_t i, size_t n)
{
	size_t next = i + (n > DENSE_WORDS ? STRIDE : 1);

	return next >= n && i < n - 1 ? n - 1 : next;
}

static void write_pattern(void *p, size_t size, struct pattern t)
{
	size_t n = size / 8;
	u64 *w = p, rest = t.first + n * t.step;

	for (size_t i = 0; i < n; i = next_word(i, n))
		w[i] = t.first + i * t.step;
	memcpy(w + n, &rest, size % 8);
}

/* The offset of the first word that is not as it should be; size: all are. */
static size_t find_difference(const void *p, size_t size, struct pattern t)
{
	size_t n = size / 8;
	const u64 *w = p;
	u64 rest = t.first + n * t.step;

	for (size_t i = 0; i < n; i = next_word(i, n))
		if (READ_ONCE(w[i]) != t.first + i * t.step)
			return i * 8;
	return memcmp(w + n, &rest, size % 8) ? n * 8 : size;
}

/* ---- errors ---- */

u64 block_errors(void)
{
	return __atomic_load_n(&errors, __ATOMIC_RELAXED);
}

static const char *kind_name(enum block_kind kind)
{
	static const char *const names[] = {
		[BLOCK_KMALLOC] = "kmalloc", [BLOCK_ZEROED] = "kzalloc",
		[BLOCK_CACHE] = "cache", [BLOCK_PAGES] = "pages",
	};

	return names[kind];
}

static void complain(const struct block *b, const char *what, size_t at, u64 found, u64 wanted)
{
	if (__atomic_fetch_add(&errors, 1, __ATOMIC_RELAXED) >= ERRORS_PRINTED)
		return;
	printk("workload: ERROR: %s: block %p + %lu holds %016lx, wanted %016lx; size %lu from %s, "
	       "filled by CPU %u in %s, found by CPU %u in %s\n", what, b->addr, at, found, wanted,
	       b->size, kind_name(b->kind), b->cpu, context_name((enum context)b->ctx),
	       smp_processor_id(), context_name(current_context()));
}

static void expect_pattern(const struct block *b, const char *what, struct pattern t)
{
	size_t at = find_difference(b->addr, b->size, t), n = b->size - at;
	u64 found = 0;

	if (!n)
		return;
	memcpy(&found, (char *)b->addr + at, n < 8 ? n : 8);
	complain(b, what, at, found, t.first + at / 8 * t.step);
}

/* ---- caches ---- */

struct test_cache {
	const char *name;
	size_t size, align;
	void (*ctor)(void *);
	struct kmem_cache *cache;
};

static void construct_small(void *obj);
static void construct_middle(void *obj);
static void construct_big(void *obj);

static struct test_cache test_caches[] = {
	{ .name = "workload-24", .size = 24, .align = 8, .ctor = construct_small },
	{ .name = "workload-200", .size = 200, .align = 64, .ctor = construct_middle },
	{ .name = "workload-1608", .size = 1608, .align = 8, .ctor = construct_big },
};

static void construct_small(void *obj)
{
	write_pattern(obj, test_caches[0].size, constructed(obj));
}

static void construct_middle(void *obj)
{
	write_pattern(obj, test_caches[1].size, constructed(obj));
}

static void construct_big(void *obj)
{
	write_pattern(obj, test_caches[2].size, constructed(obj));
}

static const struct test_cache *cache_of(const struct block *b)
{
	const struct test_cache *c = test_caches;

	while (c->size != b->size)
		c++;
	return c;
}

bool block_caches_create(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(test_caches); i++) {
		struct test_cache *c = &test_caches[i];

		c->cache = kmem_cache_create(c->name, c->size, c->align, job_paid() ? SLAB_ACCOUNT : 0, c->ctor);
		if (c->cache)
			continue;
		printk("workload: no cache %s\n", c->name);
		block_caches_destroy();
		return false;
	}
	return true;
}

bool block_caches_destroy(void)
{
	bool ok = true;

	for (unsigned int i = 0; i < ARRAY_SIZE(test_caches); i++) {
		struct test_cache *c = &test_caches[i];

		if (c->cache && kmem_cache_destroy(c->cache)) {
			printk("workload: the cache %s is still in use\n", c->name);
			ok = false;
		}
		c->cache = NULL;
	}
	return ok;
}

/* ---- what a block is ---- */

/* Low bits first: address in units of 8 bytes, size (to 8 KiB in bytes, then in
 * units of 8), kind, context, CPU; and a bit that is always set. */
#define ADDR_BITS 33
#define SIZE_BITS 20
#define KIND_BITS 2
#define CTX_BITS 2
#define CPU_BITS 6
#define SIZE_AT ADDR_BITS
#define KIND_AT (SIZE_AT + SIZE_BITS)
#define CTX_AT (KIND_AT + KIND_BITS)
#define CPU_AT (CTX_AT + CTX_BITS)
#define PACKED (1UL << 63)
#define EXACT_SIZES KMALLOC_MAX_CACHE_SIZE

_Static_assert(CPU_AT + CPU_BITS == 63, "a block fills a word");
_Static_assert(DIRECT_MAP_MAX >> 3 <= 1UL << ADDR_BITS, "address bits");
_Static_assert(EXACT_SIZES + KMALLOC_MAX_SIZE / 8 < 1UL << SIZE_BITS, "size bits");
_Static_assert(NR_CONTEXT <= 1 << CTX_BITS && NR_CPUS <= 1 << CPU_BITS, "context and CPU bits");

static u64 field(u64 word, unsigned int at, unsigned int bits)
{
	return word >> at & ((1UL << bits) - 1);
}

u64 block_pack(const struct block *b)
{
	u64 size = b->size <= EXACT_SIZES ? b->size : EXACT_SIZES + b->size / 8;

	return virt_to_phys(b->addr) >> 3 | size << SIZE_AT | (u64)b->kind << KIND_AT |
	       (u64)b->ctx << CTX_AT | (u64)b->cpu << CPU_AT | PACKED;
}

struct block block_unpack(u64 word)
{
	size_t size = field(word, SIZE_AT, SIZE_BITS);

	return (struct block){
		.addr = phys_to_virt(field(word, 0, ADDR_BITS) << 3),
		.size = size <= EXACT_SIZES ? size : (size - EXACT_SIZES) * 8,
		.kind = (enum block_kind)field(word, KIND_AT, KIND_BITS),
		.ctx = (unsigned int)field(word, CTX_AT, CTX_BITS),
		.cpu = (unsigned int)field(word, CPU_AT, CPU_BITS),
	};
}

static unsigned int order_of(size_t size)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < size)
		order++;
	return order;
}

/* Three quarters below 1 KiB, most of the rest below 16 KiB, one in 64 up to 4 MiB;
 * below each bound all powers of two are equally likely. */
static unsigned int choose_size_shift(struct rng *r)
{
	u64 x = rng_below(r, 64);
	unsigned int most = x < 48 ? 9 : x < 60 ? 13 : x < 63 ? 16 : PAGE_SHIFT + MAX_ORDER;

	return 3 + (unsigned int)rng_below(r, most - 2);
}

static size_t choose_size(struct rng *r)
{
	size_t size = 1UL << choose_size_shift(r);

	if (rng_next(r) >> 63) /* not the power of two itself */
		size += rng_below(r, size);
	if (size > KMALLOC_MAX_SIZE)
		size = KMALLOC_MAX_SIZE;
	return size > EXACT_SIZES ? size & ~7UL : size;
}

void block_choose(struct block *b, struct rng *r)
{
	u64 x = rng_below(r, 64);

	b->kind = x < 32 ? BLOCK_KMALLOC : x < 42 ? BLOCK_ZEROED : x < 54 ? BLOCK_CACHE : BLOCK_PAGES;
	if (b->kind == BLOCK_CACHE)
		b->size = test_caches[rng_below(r, ARRAY_SIZE(test_caches))].size;
	else if (b->kind == BLOCK_PAGES) /* each order half as often as the one below */
		b->size = PAGE_SIZE << __builtin_ctzl(rng_next(r) >> 8 | 1UL << MAX_ORDER);
	else
		b->size = choose_size(r);
}

/* At least what a group pays for it, where one does. */
static u64 paid_charge(const struct block *b)
{
	if (b->kind == BLOCK_CACHE) /* with its mark */
		return (b->size + 8 + cache_of(b)->align - 1) & ~(cache_of(b)->align - 1);
	return b->size > MEMCG_LARGEST_OBJECT ? PAGE_SIZE << order_of(b->size) : 8UL << order_of(b->size << (PAGE_SHIFT - 3));
}

u64 block_charge(const struct block *b)
{
	if (job_paid())
		return paid_charge(b);
	return b->size > EXACT_SIZES ? PAGE_SIZE << order_of(b->size) : b->size;
}

static size_t alignment(const struct block *b)
{
	if (b->kind == BLOCK_PAGES)
		return b->size;
	if (b->kind == BLOCK_CACHE)
		return cache_of(b)->align;
	if (b->size >= PAGE_SIZE && (b->size > EXACT_SIZES || !(b->size & (b->size - 1))))
		return PAGE_SIZE;
	return b->size & (b->size - 1) ? 8 : b->size;
}

/* ---- the calls ---- */

static void *pages_alloc(size_t size, struct block_call call)
{
	unsigned int order = order_of(size);
	struct page *page = call.nolock ? alloc_pages_nolock(call.gfp, NUMA_NO_NODE, order) :
					  alloc_pages(call.gfp, order);

	return page ? page_address(page) : NULL;
}

static void *object_alloc(const struct block *b, struct block_call call)
{
	struct kmem_cache *cache = cache_of(b)->cache;

	if (call.nolock)
		return kmem_cache_alloc_nolock(cache, call.gfp, NUMA_NO_NODE);
	return kmem_cache_alloc(cache, call.gfp);
}

void block_alloc(struct block *b, struct block_call call)
{
	gfp_t zero = b->kind == BLOCK_ZEROED ? __GFP_ZERO : 0;

	if (b->kind == BLOCK_PAGES)
		b->addr = pages_alloc(b->size, call);
	else if (b->kind == BLOCK_CACHE)
		b->addr = object_alloc(b, call);
	else if (call.nolock)
		b->addr = kmalloc_nolock(b->size, call.gfp | zero, NUMA_NO_NODE);
	else
		b->addr = zero ? kzalloc(b->size, call.gfp) : kmalloc(b->size, call.gfp);
}

void block_free(const struct block *b, struct block_call call, struct rng *r)
{
	/* kfree takes any block; objects and pages also have calls of their own. */
	bool own = b->kind >= BLOCK_CACHE && rng_next(r) >> 63;

	if (own && b->kind == BLOCK_CACHE && call.nolock)
		kmem_cache_free_nolock(cache_of(b)->cache, b->addr);
	else if (own && b->kind == BLOCK_CACHE)
		kmem_cache_free(cache_of(b)->cache, b->addr);
	else if (own && call.nolock)
		free_pages_nolock(virt_to_page(b->addr), order_of(b->size));
	else if (own)
		free_pages(virt_to_page(b->addr), order_of(b->size));
	else if (call.nolock)
		kfree_nolock(b->addr);
	else
		kfree(b->addr);
}

/* ---- what is in a block ---- */

bool block_fill(const struct block *b)
{
	u64 pa = virt_to_phys(b->addr), align = alignment(b);

	if (pa >= DIRECT_MAP_MAX || pa & 7) {
		complain(b, "no address of a block", 0, pa, 0);
		return false;
	}
	if (pa & (align - 1))
		complain(b, "alignment", 0, pa & (align - 1), 0);
	if (b->kind == BLOCK_ZEROED)
		expect_pattern(b, "not zero", (struct pattern){ 0, 0 });
	if (b->kind == BLOCK_CACHE)
		expect_pattern(b, "not as constructed", constructed(b->addr));
	write_pattern(b->addr, b->size, pattern_of(b));
	return true;
}

void block_check(const struct block *b)
{
	struct pattern t = pattern_of(b);
	u64 spoilt = ~t.first;

	expect_pattern(b, "pattern", t);
	if (b->kind == BLOCK_CACHE) {
		write_pattern(b->addr, b->size, constructed(b->addr));
	} else {
		memcpy(b->addr, &spoilt, 8);
		memcpy((char *)b->addr + b->size - 8, &spoilt, 8);
	}
}
