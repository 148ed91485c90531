/*
 * paid.c - what accounting costs: the pairs of pair.c and the bytes of memory.c paid for by
 * a group. Rows and columns have the names they have there; tools/costs.py puts both side
 * by side.
 *
 * Invariant: while a case runs, and only then, the group is the active one of CPU 0's thread
 * and NMIs. CPU 0, thread context.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "bench/memory.h"
#include "kernel/run_in.h"
#include <anyctx/memcg.h>
#include <arch/cpu.h>

#define ROUNDS 1000
#define WARM 4

static struct mem_cgroup *group;
static bool at_limit; /* which is what a pair takes */

static void activate(void *g)
{
	set_active_memcg(g);
}

static void pay_everywhere(struct mem_cgroup *g)
{
	run_in(CTX_NMI, 0, activate, g);
	activate(g);
}

/* What one of these is charged; none is left. */
static u64 charge_of(struct bench_job job)
{
	u64 bytes;

	job.ctx = CTX_THREAD;
	job.n = 1;
	job.shape = SHAPE_GET;
	bench_run(&job);
	bytes = mem_cgroup_usage(group);
	job.shape = SHAPE_PUT;
	order_straight(1);
	bench_run(&job);
	return bytes;
}

static void limit_to(struct bench_job job)
{
	mem_cgroup_set_limit(group, MEMCG_NO_LIMIT);
	if (at_limit)
		mem_cgroup_set_limit(group, charge_of(job));
}

static u64 pair(struct bench_job job)
{
	limit_to(job);
	job.n = WARM;
	bench_run(&job);
	job.n = ROUNDS;
	return bench_each(&job);
}

static void object(const char *row, enum bench_call call, enum context ctx, size_t size)
{
	struct bench_job job = { .call = call, .shape = SHAPE_PAIR, .ctx = ctx, .size = size, .gfp = __GFP_ACCOUNT };

	if (call == CALL_KMALLOC)
		job.gfp |= GFP_KERNEL;
	bench_put_size(row, size, pair(job));
}

static void of_cache(void)
{
	struct bench_job job = { .call = CALL_CACHE, .shape = SHAPE_PAIR };

	job.cache = kmem_cache_create("paid", 64, 0, SLAB_ACCOUNT, NULL);
	if (job.cache)
		bench_put_size("kmem_cache_alloc + _free", 64, pair(job));
	else
		bench_fail("no cache");
	bench_cache_end(job.cache);
}

static void of_order(unsigned int order, const char *column)
{
	struct bench_job job = { .call = CALL_PAGES, .shape = SHAPE_PAIR, .order = order, .gfp = GFP_KERNEL_ACCOUNT };

	bench_put("alloc_pages + free_pages, thread", column, pair(job));
}

static u64 empty(void)
{
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROUNDS; i++)
		barrier();
	return arch_rdtsc() - t;
}

static u64 constant_pairs(void)
{
	u64 t = arch_rdtsc();

	for (u64 i = 0; i < ROUNDS; i++)
		kfree(kmalloc(64, GFP_KERNEL_ACCOUNT));
	return arch_rdtsc() - t;
}

static void of_constant(void)
{
	u64 none = empty();

	limit_to((struct bench_job){ .call = CALL_KMALLOC, .size = 64, .gfp = GFP_KERNEL_ACCOUNT });
	constant_pairs();
	bench_put_size("kmalloc + kfree", 64, (constant_pairs() - none) * BENCH_ONE / ROUNDS);
}

static void all_pairs(void)
{
	object("kmalloc + kfree, thread", CALL_KMALLOC, CTX_THREAD, 64);
	of_constant();
	object("kmalloc_nolock + kfree_nolock, thread", CALL_NOLOCK, CTX_THREAD, 64);
	object("kmalloc_nolock + kfree_nolock, NMI", CALL_NOLOCK, CTX_NMI, 64);
	object("kmalloc_nolock + kfree_nolock, thread", CALL_NOLOCK, CTX_THREAD, 1024);
	of_cache();
	of_order(0, "o0");
	of_order(3, "o3");
	of_order(9, "o9");
}

static void all_bytes(void)
{
	static const u16 sizes[] = { 8, 64, 192, 1024 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		bench_put_size("taken over asked, %", sizes[i], memory_overhead(sizes[i], GFP_KERNEL_ACCOUNT));
}

static void while_paid(void (*measure)(void))
{
	group = mem_cgroup_create(NULL, "bench");
	if (!group) {
		bench_fail("no group");
		return;
	}
	pay_everywhere(group);
	measure();
	if (mem_cgroup_failcnt(group))
		bench_fail("the limit refused what fits");
	if (!mem_cgroup_watermark(group))
		bench_fail("nobody paid");
	pay_everywhere(NULL);
	mem_cgroup_put(group);
}

static void below_limit(void)
{
	at_limit = false;
	all_pairs();
	all_bytes();
}

static void just_at_limit(void)
{
	at_limit = true;
	all_pairs();
}

BENCH(paid, below, "paid for by a group without a limit: instructions a pair; pages taken over bytes asked")
{
	while_paid(below_limit);
}

BENCH(paid, limit, "paid for by a group whose limit is what the pair takes: instructions a pair")
{
	while_paid(just_at_limit);
}
