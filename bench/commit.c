/*
 * commit.c - the two ways to commit a fast path without a lock, side by side in one
 * run: a restartable sequence that moves the top of a stack of pointers, as mm/ has
 * it, and an unlocked cmpxchg16b of {first free object, transaction}, as SLUB does.
 *
 * The second is built here, on the same size classes, checks and marks, so that only
 * the commit differs. The free ones are chained through bytes 8-15 of each, so it is
 * for objects of 16 bytes and more. Thread context; nothing else uses these chains.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "mm/fast.h"
#include "mm/mm.h"
#include <arch/cpu.h>

#define ROUNDS 1000
#define ROW 256

struct chain_cpu {
	void *head;
	u64 transaction;
	u64 start_mul;
	u64 unused[5]; /* as long as struct cache_cpu: cpu_off leads here as well */
};
_Static_assert(sizeof(struct chain_cpu) == sizeof(struct cache_cpu), "cpu_off leads to both");

static DEFINE_PER_CPU(struct chain_cpu, chain_cpu[NR_KMALLOC + 1]) __aligned(64);
static u16 class_off[KMALLOC_MAX_CACHE_SIZE / 8 + 1];

/* {head, transaction} -> {new, transaction + 1}, if nothing has happened since. */
static __always_inline bool chain_commit(u64 off, void *head, u64 transaction, void *new)
{
	bool done;

	__asm__ volatile("cmpxchg16b %%gs:%c[var](%[off])"
			 : "=@ccz"(done), "+a"(head), "+d"(transaction)
			 : [var] "i"(&chain_cpu[0]), [off] "r"(off), "b"(new), "c"(transaction + 1)
			 : "memory");
	return done;
}

/* The transaction first: whatever comes in between changes it. */
static __always_inline void *chain_head(u64 off, u64 *transaction)
{
	void *head;

	__asm__ volatile("movq %%gs:%c2(%1), %0" : "=r"(*transaction) : "r"(off), "i"(&chain_cpu[0].transaction) : "memory");
	__asm__ volatile("movq %%gs:%c2(%1), %0" : "=r"(head) : "r"(off), "i"(&chain_cpu[0].head) : "memory");
	return head;
}

static __noinline void *chain_alloc(size_t size, gfp_t gfp, int node)
{
	u64 off, transaction;
	void *obj;

	if (unlikely(size > KMALLOC_MAX_CACHE_SIZE || (gfp | ((u32)node + 1)) & ~GFP_PLAIN))
		return NULL;
	off = class_off[(size + 7) / 8];
	do {
		obj = chain_head(off, &transaction);
		if (unlikely(!obj || mark_get(obj, 0) != free_mark))
			return NULL;
	} while (unlikely(!chain_commit(off, obj, transaction, *((void **)obj + 1))));
	mark_set(obj, 0, 0);
	return obj;
}

static __noinline void chain_free(void *p)
{
	u64 off, transaction;
	void *head;

	if (unlikely(!frame_cache_of(p, max_pfn, &off)))
		return;
	if (!this_cpu_multiple(&chain_cpu[0].start_mul, off, (u64)p) || mark_get(p, 0) == free_mark)
		return;
	mark_set(p, 0, free_mark);
	do {
		head = chain_head(off, &transaction);
		*((void **)p + 1) = head;
	} while (unlikely(!chain_commit(off, head, transaction, p)));
}

static __always_inline void *get(bool chain, size_t size)
{
	return chain ? chain_alloc(size, 0, NUMA_NO_NODE) : kmalloc_nolock(size, 0, NUMA_NO_NODE);
}

static __always_inline void put(bool chain, void *p)
{
	if (chain)
		chain_free(p);
	else
		kfree_nolock(p);
}

/* chain is a constant where it is called: the loop has one of the two calls in it. */
static __always_inline u64 pairs(bool chain, size_t size)
{
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROUNDS; i++)
		put(chain, get(chain, size));
	return arch_rdtsc() - t;
}

static u64 empty(void)
{
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROUNDS; i++)
		barrier();
	return arch_rdtsc() - t;
}

/* 256 allocated and then freed: what each takes, in the shape that is not a pair. */
static __always_inline u64 row(bool chain, size_t size)
{
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROW; i++)
		bench_slot[i] = get(chain, size);
	for (u64 i = 0; i < ROW; i++)
		put(chain, bench_slot[i]);
	return arch_rdtsc() - t;
}

/* The chain's own stock: objects that kmalloc has given, and gets back. */
static void stock(size_t size)
{
	for (u64 i = 0; i < ROW; i++)
		bench_slot[i] = kmalloc_nolock(size, 0, NUMA_NO_NODE);
	for (u64 i = 0; i < ROW; i++)
		chain_free(bench_slot[i]);
}

static void stock_end(size_t size)
{
	void *obj;
	u64 n = 0;

	for (; (obj = chain_alloc(size, 0, NUMA_NO_NODE)); n++)
		kfree_nolock(obj);
	if (n != ROW)
		bench_fail("the chain has lost or won objects");
}

/* CPUID leaf 1, ECX bit 13: is there the instruction? The allocator does without. */
static bool has_cmpxchg16b(void)
{
	u32 eax = 1, ebx, ecx = 0, edx;

	__asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ecx >> 13 & 1;
}

static void one_size(size_t size, bool both)
{
	u64 none = empty();

	if (both)
		stock(size);
	row(false, size);
	bench_put_size("restartable sequence, pair", size, (pairs(false, size) - none) * BENCH_ONE / ROUNDS);
	if (both)
		bench_put_size("cmpxchg16b, pair", size, (pairs(true, size) - none) * BENCH_ONE / ROUNDS);
	bench_put_size("restartable sequence, 256 in a row, pair", size, row(false, size) * BENCH_ONE / ROW);
	if (both)
		bench_put_size("cmpxchg16b, 256 in a row, pair", size, row(true, size) * BENCH_ONE / ROW);
	if (both)
		stock_end(size);
}

BENCH(commit, variants, "kmalloc_nolock + kfree_nolock by the two commits, thread, instructions a pair")
{
	static const size_t sizes[] = { 16, 64, 256, 1024, 8192 };
	bool both = has_cmpxchg16b();

	if (!both)
		bench_note("no cmpxchg16b on this CPU: its rows are left out");
	for (u32 i = 1; i < ARRAY_SIZE(class_off); i++)
		for (u32 id = NR_KMALLOC; id && caches[id].size >= i * 8; id--)
			class_off[i] = (u16)CPU_OFF(id);
	for (u32 id = 1; id <= NR_KMALLOC; id++)
		this_cpu_ptr(chain_cpu[id])->start_mul = caches[id].start_mul;
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		one_size(sizes[i], both);
}
