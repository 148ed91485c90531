/*
 * kmalloc.c - objects by size: 33 caches from 8 bytes to 8 KiB, whole blocks of
 * pages above; and the public calls by pointer.
 *
 * All functions: any context (the public headers say what to use where; the
 * _nolock forms differ only in that they never wait for other CPUs' caches).
 */
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/fast.h"
#include "mm/memcg.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

static const struct {
	u16 size;
	const char *name;
} classes[NR_KMALLOC] = {
	{ 8, "kmalloc-8" },      { 16, "kmalloc-16" },    { 32, "kmalloc-32" },    { 48, "kmalloc-48" },
	{ 64, "kmalloc-64" },    { 80, "kmalloc-80" },    { 96, "kmalloc-96" },    { 112, "kmalloc-112" },
	{ 128, "kmalloc-128" },  { 160, "kmalloc-160" },  { 192, "kmalloc-192" },  { 224, "kmalloc-224" },
	{ 256, "kmalloc-256" },  { 320, "kmalloc-320" },  { 384, "kmalloc-384" },  { 448, "kmalloc-448" },
	{ 512, "kmalloc-512" },  { 640, "kmalloc-640" },  { 768, "kmalloc-768" },  { 896, "kmalloc-896" },
	{ 1024, "kmalloc-1k" },  { 1280, "kmalloc-1280" }, { 1536, "kmalloc-1536" }, { 1792, "kmalloc-1792" },
	{ 2048, "kmalloc-2k" },  { 2560, "kmalloc-2560" }, { 3072, "kmalloc-3k" },   { 3584, "kmalloc-3584" },
	{ 4096, "kmalloc-4k" },  { 5120, "kmalloc-5k" },   { 6144, "kmalloc-6k" },   { 7168, "kmalloc-7k" },
	{ 8192, "kmalloc-8k" },
};
/* Of each size in steps of 8 bytes: where its cache is in cache_cpu[]. [0], for
 * size 0, is what leads nowhere. */
static u16 size_cpu_off[KMALLOC_MAX_CACHE_SIZE / 8 + 1];

static DEFINE_PER_CPU(struct magazine, kmalloc_magazines[CONFIG_TINY ? 0 : NR_KMALLOC]);

struct magazine *kmalloc_magazine(u32 id, unsigned int cpu)
{
	return CONFIG_TINY ? NULL : &(*per_cpu_ptr(kmalloc_magazines, cpu))[id - 1];
}

/* Also where something is put between objects: a debugged cache, KASAN. */
static size_t class_align(u32 i)
{
	return classes[i].size < 16 ? 8 : 16;
}

static void paid_init(void)
{
	for (u32 i = 0; i < NR_KMALLOC_PAID; i++) {
		u32 id = NR_KMALLOC + i + 1;
		char name[sizeof(caches[0].name)];

		snprintf(name, sizeof(name), "kmalloc-cg-%s", strchr(classes[i].name, '-') + 1);
		BUG_ON(!cache_setup(&caches[id], id, name, classes[i].size, class_align(i), SLAB_ACCOUNT, NULL));
	}
	BUG_ON(caches[NR_KMALLOC + NR_KMALLOC_PAID].size != MEMCG_LARGEST_OBJECT);
}

/* Cache i + 1 is that of class i. */
void kmalloc_init(void)
{
	u32 class = 0;

	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++)
		magazine_setup_none(c);
	for (u32 i = 0; i < NR_KMALLOC; i++)
		BUG_ON(!cache_setup(&caches[i + 1], i + 1, classes[i].name, classes[i].size, class_align(i), 0, NULL));
	paid_init();
	for (u32 i = 1; i < ARRAY_SIZE(size_cpu_off); i++) {
		if (i * 8 > classes[class].size)
			class++;
		size_cpu_off[i] = (u16)CPU_OFF(class + 1);
		BUG_ON(__kmalloc_class_of(i * 8) != class + 1);
	}
}

static unsigned int size_order(size_t size)
{
	return size <= PAGE_SIZE ? 0 : 64 - (unsigned int)__builtin_clzl((size - 1) >> PAGE_SHIFT);
}

static __noinline void *alloc_large(const char *call, size_t size, gfp_t gfp, int nid)
{
	unsigned int order;
	struct page *page;

	if (size > KMALLOC_MAX_SIZE) {
		mm_report(call, NULL, "size %lu is above the largest, %lu", size, KMALLOC_MAX_SIZE);
		return NULL;
	}
	order = size_order(size);
	page = memcg_block_alloc(gfp, nid, order, 1, PT_LARGE);
	if (unlikely(!page))
		return NULL;
	if (gfp & __GFP_ZERO)
		memset(page_address(page), 0, PAGE_SIZE << order);
	return page_address(page);
}

static bool bad_args(const char *call, gfp_t gfp, int nid)
{
	if (gfp & ~GFP_VALID_MASK)
		mm_report(call, NULL, "unknown gfp flags 0x%x", gfp & ~GFP_VALID_MASK);
	else if (nid != NUMA_NO_NODE && (nid < 0 || nid >= (int)num_nodes()))
		mm_report(call, NULL, "node %d is out of range (0 to %u)", nid, num_nodes() - 1);
	else
		return false;
	return true;
}

/* Everything that is not an object at hand, wherever from and as it is. */
static __noinline void *alloc_uncommon(size_t size, gfp_t gfp, int nid, const char *call)
{
	bool paid = memcg_pays(gfp);
	struct kmem_cache *s;
	void *obj = NULL;

	if (bad_args(call, gfp, nid))
		return NULL;
	if (!size)
		return ZERO_SIZE_PTR;
	if (size > (paid ? MEMCG_LARGEST_OBJECT : KMALLOC_MAX_CACHE_SIZE))
		return alloc_large(call, size, gfp, nid);
	s = &caches[size_cpu_off[(size + 7) / 8] / sizeof(struct cache_cpu) + (paid ? NR_KMALLOC : 0)];
	if (nid == NUMA_NO_NODE && !paid)
		obj = fast_alloc(CPU_OFF(s->id), 0);
	if (!obj)
		obj = cache_alloc_slow(s, gfp, nid);
	if (gfp & __GFP_ZERO && obj)
		memset(obj, 0, s->size);
	return obj;
}

/* The magazine is empty, or it is size 0. */
static __noinline void *alloc_plain_slow(size_t size, gfp_t gfp)
{
	return size ? cache_alloc_slow(cache_at(size_cpu_off[(size + 7) / 8]), gfp, NUMA_NO_NODE) : ZERO_SIZE_PTR;
}

/* What the caller gets, of which it may use size bytes. */
static __always_inline void *for_caller(void *obj, size_t size)
{
	if (CONFIG_KASAN)
		kasan_asked_for(obj, size);
	return obj;
}

/* mask: flags that the long way may follow. */
static __always_inline void *alloc_size(const char *call, size_t size, gfp_t gfp, int nid, gfp_t mask)
{
	void *obj;

	if (unlikely(size > KMALLOC_MAX_CACHE_SIZE || (gfp | ((u32)nid + 1)) & ~GFP_PLAIN))
		return for_caller(alloc_uncommon(size, gfp & mask, nid, call), size);
	obj = fast_alloc(size_cpu_off[(size + 7) / 8], 0);
	return for_caller(likely(obj) ? obj : alloc_plain_slow(size, gfp & mask), size);
}

/* Of a class known to the compiler; a magazine of that class only. */
static __always_inline void *alloc_class(u32 class, gfp_t gfp, gfp_t mask)
{
	void *obj = fast_alloc(CPU_OFF(class), 0);

	return likely(obj) ? obj : cache_alloc_slow(&caches[class], gfp & mask, NUMA_NO_NODE);
}

void *__kmalloc_class(u32 class, gfp_t gfp)
{
	return alloc_class(class, gfp, ~0u);
}

void *__kmalloc_nolock_class(u32 class, gfp_t gfp)
{
	return alloc_class(class, gfp, ~__GFP_RECLAIM);
}

void *kmalloc(size_t size, gfp_t gfp)
{
	return alloc_size("kmalloc", size, gfp, NUMA_NO_NODE, ~0u);
}

void *kzalloc(size_t size, gfp_t gfp)
{
	return alloc_size("kzalloc", size, gfp | __GFP_ZERO, NUMA_NO_NODE, ~0u);
}

void *kmalloc_node(size_t size, gfp_t gfp, int node)
{
	return alloc_size("kmalloc_node", size, gfp, node, ~0u);
}

void *kmalloc_nolock(size_t size, gfp_t gfp, int node)
{
	return alloc_size("kmalloc_nolock", size, gfp, node, ~__GFP_RECLAIM);
}

void kfree(const void *p)
{
	if (unlikely(!fast_free((void *)p)))
		free_uncommon(p, "kfree");
}

void kfree_nolock(const void *p)
{
	if (unlikely(!fast_free((void *)p)))
		free_uncommon(p, "kfree_nolock");
}

/* What may be used at p, for that call; 0: nothing, and reported if it should be. */
static size_t usable_size(const char *call, const void *p)
{
	u64 pfn = addr_pfn(p);
	struct page *page = pfn_page(pfn);

	if (ZERO_OR_NULL_PTR(p))
		return 0;
	if (pfn < max_pfn && page->type == PT_SLAB) {
		struct kmem_cache *s = cache_at(page_cpu_off(page));

		if (slab_index(s, slab_head(page), p) >= 0) {
			if (free_already(call, s, p))
				return 0;
			if (CONFIG_KASAN)
				kasan_asked_for(p, s->size);
			return s->size;
		}
	} else if (pfn < max_pfn && page->type != PT_NONE && !((u64)p & ~PAGE_MASK)) {
		if (CONFIG_KASAN)
			kasan_asked_for(p, PAGE_SIZE << page->order);
		return PAGE_SIZE << page->order;
	}
	mm_report(call, p, "not an allocated object");
	return 0;
}

u64 mm_kept_of(size_t size)
{
	return mm_kept_by(&caches[__kmalloc_class_of(size)]);
}

size_t ksize(const void *p)
{
	return usable_size("ksize", p);
}

void *krealloc(void *p, size_t size, gfp_t gfp)
{
	size_t had = usable_size("krealloc", p);
	void *new;

	if (ZERO_OR_NULL_PTR(p))
		return alloc_size("krealloc", size, gfp, NUMA_NO_NODE, ~0u);
	if (!had || bad_args("krealloc", gfp, NUMA_NO_NODE))
		return NULL; /* reported */
	if (!size) {
		kfree(p);
		return ZERO_SIZE_PTR;
	}
	if (size <= had && gfp & __GFP_ZERO)
		memset((char *)p + size, 0, had - size);
	if (size <= had && size > had / 2)
		return for_caller(p, size);
	new = alloc_size("krealloc", size, gfp, NUMA_NO_NODE, ~0u);
	if (!new)
		return size <= had ? p : NULL; /* too large will do */
	memcpy(new, p, size < had ? size : had);
	kfree(p);
	return new;
}
