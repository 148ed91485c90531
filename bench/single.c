/*
 * single.c - single operations over many held: the middle, the 99th in a hundred, and
 * the worst.
 *
 * 2,048 objects are taken one by one and held, then given back one by one; fewer
 * where that would be more than a third of memory: the row "held" says how many. It starts
 * with nothing cached.
 */
#include "bench/bench.h"
#include "bench/vary.h"
#include "kernel/printk.h"
#include "mm/mm.h"

#define HELD 2048UL

static void put_times(const char *call, const struct bench_job *job)
{
	static const struct {
		const char *name;
		u64 percent;
	} at[] = { { "p50", 50 }, { "p99", 99 }, { "max", 100 } };
	char row[BENCH_NAME];

	for (unsigned int i = 0; i < ARRAY_SIZE(at); i++) {
		u64 k = job->n * at[i].percent / 100;

		snprintf(row, sizeof(row), "%s, %s", call, at[i].name);
		vary_put(row, job, bench_times[k < job->n ? k : job->n - 1] * BENCH_ONE);
	}
}

static const char *get_name, *put_name;

/* what: how the rows' names go on. */
static void one(const char *what, struct bench_job job)
{
	char row[BENCH_NAME];

	job.n = vary_fit(&job, HELD, 3);
	vary_put("held", &job, job.n * BENCH_ONE);
	order_straight(job.n);
	mm_quiesce();
	snprintf(row, sizeof(row), "%s%s", get_name, what);
	job.shape = SHAPE_GET_EACH;
	bench_run_each(&job);
	put_times(row, &job);
	snprintf(row, sizeof(row), "%s%s", put_name, what);
	job.shape = SHAPE_PUT_EACH;
	bench_run_each(&job);
	if (!(job.gfp & __GFP_ZERO)) /* a free is the same */
		put_times(row, &job);
}

static void by_size(const char *what, struct bench_job job)
{
	vary_size(what, job, one);
}

static void singles(const char *get, const char *put, struct bench_job job)
{
	get_name = get;
	put_name = put;
	by_size("", job);
	job.gfp |= __GFP_ZERO;
	by_size(", zeroed", job);
}

/* In each of the contexts, which is then part of the rows' names. */
static void singles_in(const char *get, const char *put, struct bench_job job, unsigned int contexts)
{
	get_name = get;
	put_name = put;
	vary_all("", job, contexts, by_size);
}

BENCH(single, thread, "single operations, 2,048 held, thread, instructions")
{
	singles("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK });
}

BENCH(single, nmi, "single operations, 2,048 held, NMI, instructions")
{
	singles("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_NMI });
}

BENCH(single, interrupt, "single operations, 2,048 held, interrupt, instructions")
{
	singles("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_IRQ });
}

BENCH(single, kmalloc, "the same by kmalloc and kfree")
{
	singles_in("kmalloc", "kfree", (struct bench_job){ .call = CALL_KMALLOC, .gfp = GFP_KERNEL }, VARY_PLAIN);
}

BENCH(single, pages, "single blocks of pages, 2,048 held, by order, instructions")
{
	singles_in("alloc_pages", "free_pages", (struct bench_job){ .call = CALL_PAGES, .gfp = GFP_KERNEL }, VARY_PLAIN);
	singles_in("alloc_pages_nolock", "free_pages_nolock", (struct bench_job){ .call = CALL_PAGES_NOLOCK }, VARY_NOLOCK);
}
