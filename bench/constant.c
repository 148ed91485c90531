/*
 * constant.c - pairs whose size the compiler knows: what it can resolve then.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include <arch/cpu.h>

#define ROUNDS 1000

static __always_inline u64 pairs(size_t size, bool nolock)
{
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROUNDS; i++) {
		if (nolock)
			kfree_nolock(kmalloc_nolock(size, 0, NUMA_NO_NODE));
		else
			kfree(kmalloc(size, GFP_KERNEL));
	}
	return arch_rdtsc() - t;
}

static u64 empty(void)
{
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROUNDS; i++)
		barrier();
	return arch_rdtsc() - t;
}

static __always_inline void one_size(size_t size)
{
	u64 none = empty();

	pairs(size, false);
	bench_put_size("kmalloc + kfree", size, (pairs(size, false) - none) * BENCH_ONE / ROUNDS);
	bench_put_size("kmalloc_nolock + kfree_nolock", size,
		       (pairs(size, true) - none) * BENCH_ONE / ROUNDS);
}

BENCH(pair, constant, "one object of a size known at compile time, allocated and freed, instructions a pair")
{
	one_size(8);
	one_size(16);
	one_size(32);
	one_size(64);
	one_size(96);
	one_size(128);
	one_size(192);
	one_size(256);
	one_size(512);
	one_size(1024);
	one_size(2048);
	one_size(4096);
	one_size(8192);
	one_size(65536);
	one_size(1048576);
}
