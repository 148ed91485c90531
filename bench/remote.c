/*
 * remote.c - one CPU allocates, another frees: what it costs each, in the steady state.
 *
 * CPU 0 takes a batch, then CPU 1 gives it back, each in a thread, an interrupt or an NMI. The clock
 * counts the instructions of all CPUs, so the one whose turn it is not waits by `pause`,
 * at which the emulator turns to the other. SMP=2 and more.
 */
#include "bench/bench.h"
#include "bench/vary.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

#define WARM 20
#define ROUNDS 40

static void names(const struct bench_job *job, const char **get, const char **put)
{
	*get = vary_is_pages(job) ? "alloc_pages_nolock" : "kmalloc_nolock";
	*put = vary_is_pages(job) ? "free_pages_nolock" : "kfree_nolock";
}

static void put_figures(const char *what, const struct bench_job *job, u64 gets, u64 puts)
{
	const char *get, *put;
	char row[BENCH_NAME];

	names(job, &get, &put);
	snprintf(row, sizeof(row), "%s on CPU 0%s, batch %lu", get, what, job->n);
	vary_put(row, job, gets);
	if (job->gfp & __GFP_ZERO) /* a free is the same */
		return;
	snprintf(row, sizeof(row), "%s on CPU 1%s, batch %lu", put, what, job->n);
	vary_put(row, job, puts);
}

/* what: the context, and whether it is zeroed; both CPUs are in it by turns. */
static void one_batch(const char *what, struct bench_job get)
{
	struct bench_job put = get;
	u64 gets = 0, puts = 0, rounds = vary_rounds(&get, ROUNDS, get.n);
	gfp_t gfp = get.gfp;

	if (vary_fit(&get, get.n, 2) < get.n)
		return;
	put.shape = SHAPE_PUT;
	put.cpu = 1;
	get.gfp = 0;
	for (unsigned int i = 0; i < WARM; i++) {
		bench_run(&get);
		bench_run(&put);
	}
	get.gfp = gfp;
	for (u64 i = 0; i < rounds; i++) {
		gets += bench_each(&get);
		puts += bench_each(&put);
	}
	put_figures(what, &get, gets / rounds, puts / rounds);
	mm_quiesce();
}

static void by_size(const char *what, struct bench_job job)
{
	order_straight(job.n);
	vary_size(what, job, one_batch);
}

/* Each size of batch in each context; zeroed only the least, as what it adds is the same. */
static void batches(struct bench_job job)
{
	job.n = 32;
	vary_all("", job, VARY_NOLOCK, by_size);
	job.n = 256;
	vary_context("", job, VARY_NOLOCK, by_size);
	job.n = 2048;
	vary_context("", job, VARY_NOLOCK, by_size);
}

static bool one_cpu(void)
{
	if (num_online_cpus() > 1)
		return false;
	bench_note("needs a second CPU");
	return true;
}

BENCH(remote, batches, "allocated on one CPU, freed on another, instructions each")
{
	if (!one_cpu())
		batches((struct bench_job){ .call = CALL_NOLOCK, .shape = SHAPE_GET });
}

BENCH(remote, pages, "the same with pages, by order")
{
	if (!one_cpu())
		batches((struct bench_job){ .call = CALL_PAGES_NOLOCK, .shape = SHAPE_GET });
}
