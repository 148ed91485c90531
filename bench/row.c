/*
 * row.c - many allocations in a row, then as many frees: what it costs when the
 * CPU's own stock runs out and runs over.
 *
 * Cold is the first row after all caches were given back; warm the second. After the
 * frees of an NMI the work that they put off is timed as well, for each of them.
 */
#include "bench/bench.h"
#include "bench/vary.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

#define ROW 256

static u64 deferred(void)
{
	struct mm_stats st;

	mm_get_stats(&st);
	return st.deferred;
}

/* What a row of gets is called, and a row of puts. */
struct labels {
	const char *get, *put;
};
static struct labels labels;

static void put_figure(const char *call, const char *what, const struct bench_job *job, u64 figure)
{
	char row[BENCH_NAME];

	snprintf(row, sizeof(row), "%s, %s", call, what);
	vary_put(row, job, figure);
}

static void one_row(struct labels l, struct bench_job *job, const char *get_what, const char *put_what)
{
	u64 before = deferred(), many;
	char what[40];

	job->shape = SHAPE_GET;
	put_figure(l.get, get_what, job, bench_each(job));
	job->shape = SHAPE_PUT;
	put_figure(l.put, put_what, job, bench_each(job));
	many = deferred() - before;
	if (!many)
		return;
	snprintf(what, sizeof(what), "%s: put off, %%", put_what);
	put_figure(l.put, what, job, many * 100 * BENCH_ONE / job->n);
	job->shape = SHAPE_GET;
	bench_run(job);
	job->shape = SHAPE_PUT;
	snprintf(what, sizeof(what), "%s: with that work", put_what);
	put_figure(l.put, what, job, bench_each_with_rest(job));
}

static void one(const char *context, struct bench_job job)
{
	char get[BENCH_NAME], put[BENCH_NAME];
	struct labels l = { get, put };

	if (vary_fit(&job, ROW, 2) < ROW)
		return;
	snprintf(get, sizeof(get), "%s%s", labels.get, context);
	snprintf(put, sizeof(put), "%s%s", labels.put, context);
	job.n = ROW;
	mm_quiesce();
	order_straight(ROW);
	one_row(l, &job, "cold", "in order");
	one_row(l, &job, "warm", "in order");
	order_shuffled(ROW);
	one_row(l, &job, "warm", "out of order");
}

static void by_size(const char *context, struct bench_job job)
{
	vary_size(context, job, one);
}

static void rows(const char *get, const char *put, struct bench_job job)
{
	labels = (struct labels){ get, put };
	by_size("", job);
}

/* In each of the contexts, which is then part of the rows' names. */
static void rows_in(const char *get, const char *put, struct bench_job job, unsigned int contexts)
{
	labels = (struct labels){ get, put };
	vary_context("", job, contexts, by_size);
}

BENCH(row, nolock_thread, "256 in a row, then 256 freed, thread, instructions each")
{
	rows("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK });
}

BENCH(row, nolock_nmi, "the same in an NMI")
{
	rows("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_NMI });
}

BENCH(row, nolock_interrupt, "the same in an interrupt")
{
	rows("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_IRQ });
}

BENCH(row, nolock_zeroed, "the same in each, zeroed")
{
	rows_in("kmalloc_nolock", "kfree_nolock", (struct bench_job){ .call = CALL_NOLOCK, .gfp = __GFP_ZERO }, VARY_NOLOCK);
}

BENCH(row, kmalloc, "256 in a row, then 256 freed, thread, instructions each")
{
	rows("kmalloc", "kfree", (struct bench_job){ .call = CALL_KMALLOC, .gfp = GFP_KERNEL });
}

BENCH(row, kmalloc_interrupt, "the same in an interrupt")
{
	rows("kmalloc", "kfree", (struct bench_job){ .call = CALL_KMALLOC, .gfp = GFP_ATOMIC, .ctx = CTX_IRQ });
}

BENCH(row, kzalloc, "the same, zeroed")
{
	rows_in("kzalloc", "kfree", (struct bench_job){ .call = CALL_KMALLOC, .gfp = GFP_KERNEL | __GFP_ZERO }, VARY_PLAIN);
}

BENCH(row, pages, "256 blocks of pages in a row, then 256 freed, instructions each")
{
	rows_in("alloc_pages", "free_pages", (struct bench_job){ .call = CALL_PAGES, .gfp = GFP_KERNEL }, VARY_PLAIN);
}

BENCH(row, pages_nolock, "the same by the calls for any context")
{
	rows_in("alloc_pages_nolock", "free_pages_nolock", (struct bench_job){ .call = CALL_PAGES_NOLOCK }, VARY_NOLOCK);
}

BENCH(row, pages_zeroed, "the same, zeroed")
{
	struct bench_job job = { .call = CALL_PAGES, .gfp = GFP_KERNEL | __GFP_ZERO };

	rows_in("alloc_pages", "free_pages", job, VARY_PLAIN);
	job.call = CALL_PAGES_NOLOCK;
	rows_in("alloc_pages_nolock", "free_pages_nolock", job, VARY_NOLOCK);
}
