/*
 * row.c - many allocations in a row, then as many frees: what it costs when the
 * CPU's own stock runs out and runs over.
 *
 * Cold is the first row after all caches were given back; warm the second. After the
 * frees of an NMI the work that they put off is timed as well, for each of them.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

#define ROW 256

static u64 memory(void)
{
	return nr_managed_pages() << PAGE_SHIFT;
}

static u64 deferred(void)
{
	struct mm_stats st;

	mm_get_stats(&st);
	return st.deferred;
}

struct labels {
	const char *get, *put;
};

static void put_figure(const char *call, const char *what, const struct bench_job *job, u64 figure)
{
	char row[BENCH_NAME], column[16];

	snprintf(row, sizeof(row), "%s, %s", call, what);
	if (job->call == CALL_PAGES || job->call == CALL_PAGES_NOLOCK) {
		snprintf(column, sizeof(column), "o%u", job->order);
		bench_put(row, column, figure);
	} else {
		bench_put_size(row, job->size, figure);
	}
}

static void one_row(struct labels l, struct bench_job *job, const char *get_what, const char *put_what)
{
	u64 before = deferred(), many;
	char what[32];

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

static void rows(struct labels l, struct bench_job job)
{
	job.n = ROW;
	mm_quiesce();
	order_straight(ROW);
	one_row(l, &job, "cold", "in order");
	one_row(l, &job, "warm", "in order");
	order_shuffled(ROW);
	one_row(l, &job, "warm", "out of order");
}

static void by_size(struct labels l, struct bench_job job)
{
	for (unsigned int i = 0; bench_sizes[i]; i++) {
		job.size = bench_sizes[i];
		if (job.size * ROW < memory() / 2)
			rows(l, job);
	}
}

static void by_order(struct labels l, struct bench_job job)
{
	for (unsigned int i = 0; i < BENCH_NR_ORDERS; i++) {
		job.order = bench_orders[i];
		if ((PAGE_SIZE << job.order) * ROW < memory() / 2)
			rows(l, job);
	}
}

BENCH(row, nolock_thread, "256 in a row, then 256 freed, thread, instructions each")
{
	by_size((struct labels){ "kmalloc_nolock", "kfree_nolock" },
		(struct bench_job){ .call = CALL_NOLOCK });
}

BENCH(row, nolock_nmi, "the same in an NMI")
{
	by_size((struct labels){ "kmalloc_nolock", "kfree_nolock" },
		(struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_NMI });
}

BENCH(row, nolock_interrupt, "the same in an interrupt")
{
	by_size((struct labels){ "kmalloc_nolock", "kfree_nolock" },
		(struct bench_job){ .call = CALL_NOLOCK, .ctx = CTX_IRQ });
}

BENCH(row, kmalloc, "256 in a row, then 256 freed, thread, instructions each")
{
	by_size((struct labels){ "kmalloc", "kfree" },
		(struct bench_job){ .call = CALL_KMALLOC, .gfp = GFP_KERNEL });
}

BENCH(row, kzalloc, "the same, zeroed")
{
	by_size((struct labels){ "kzalloc", "kfree" },
		(struct bench_job){ .call = CALL_KMALLOC, .gfp = GFP_KERNEL | __GFP_ZERO });
}

BENCH(row, pages, "256 blocks of pages in a row, then 256 freed, thread, instructions each")
{
	by_order((struct labels){ "alloc_pages", "free_pages" },
		 (struct bench_job){ .call = CALL_PAGES, .gfp = GFP_KERNEL });
}
