/*
 * alloc_sequence.c - an input of the allocator's target: a row of calls, one after the
 * other, and what must hold before and after it.
 *
 * A step is a byte and an operation (alloc_op.c). The byte says where it is made, how often
 * (a second byte), or that it is interrupted by a second operation (two bytes: where, and
 * before which instruction). At the end all counters equal the full walk, with the blocks
 * in use and again when all are free; every page is back.
 */
#include "fuzz/alloc.h"
#include "kernel/printk.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

#define MOST_STEPS 256
#define MOST_CALLS 2000
#define INTERRUPTED 0xe0 /* and above */
#define MOST_INSNS 512 /* that are stepped through: each costs as much as many calls */
#define NEAR 64
#define FAR 512

static u64 pages_free, spurious;
static unsigned int calls;
static u64 insns_left;

/* Searches begin where the last one ended; a replay has no last one. */
static void forget_places(void)
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		struct page_cpu *pc = per_cpu_ptr(page_cpu, cpu);

		pc->cursor = pc->line_given = 0;
		for (unsigned int i = 0; i < NR_PRIVATE; i++)
			pc->near[i] = pc->far[i] = (struct refill_at){ 0, 0 };
	}
}

void sequence_first(void)
{
	struct mm_stats stats;

	mm_quiesce();
	mm_get_stats(&stats);
	spurious = stats.spurious_failures;
	pages_free = nr_free_pages();
	mm_reports_quiet(true);
	short_first();
}

static void check_reports(void)
{
	static u64 seen;
	u64 n = mm_reports() - seen;

	if (n != reports_wanted)
		fuzz_fail("%lu reports of bad calls, expected %lu; the last: %s", n, reports_wanted, mm_last_report());
	seen += n;
	reports_wanted = 0;
}

/* Most places of interest are near the beginning of a call. */
static void step_interrupted(struct fuzz_input *in)
{
	u8 place = fuzz_u8(in);
	u16 n = fuzz_u16(in);
	u64 at = n >= 0xe000 ? n % FAR : n % NEAR;
	struct op op, inner;

	op_read(&op, in);
	op_read(&inner, in);
	if (at > insns_left)
		at = insns_left;
	insns_left -= run_interrupted(&op, place & 0x80, &inner, (enum where)(place % NR_WHERE), at);
}

static void step(struct fuzz_input *in)
{
	u8 how = fuzz_u8(in), times = 1;
	struct op op;

	if (how >= INTERRUPTED) {
		step_interrupted(in);
	} else {
		if (how & 0x40)
			times = fuzz_u8(in);
		op_read(&op, in);
		for (u8 i = 0; i < times && calls++ < MOST_CALLS; i++) {
			run_in((enum where)(how % NR_WHERE), &op);
			op.a += (u16)(how >> 3 & 7); /* of the next size, or another block */
		}
	}
	check_reports();
}

/* What the counters say of what is in use, and what the model does. */
static void check_counts(void)
{
	u64 block_pages = 0, large_pages = 0;
	struct mm_stats stats;

	for (unsigned int i = 0; i < nr_blocks; i++) {
		u64 pages = blocks[i].usable >> PAGE_SHIFT;

		block_check(&blocks[i], blocks[i].usable);
		if (blocks[i].kind == BLOCK_PAGES || blocks[i].kind == BLOCK_FROZEN)
			block_pages += pages;
		else if (blocks[i].usable > KMALLOC_MAX_CACHE_SIZE)
			large_pages += pages;
	}
	mm_get_stats(&stats);
	FUZZ_CHECK(stats.block_pages == block_pages);
	FUZZ_CHECK(stats.large_pages == large_pages);
	FUZZ_CHECK(stats.spurious_failures == spurious);
	FUZZ_CHECK(stats.pages_free == nr_free_pages());
	FUZZ_CHECK(!mm_check());
}

void sequence_run(struct fuzz_input *in)
{
	forget_places();
	calls = 0;
	insns_left = MOST_INSNS;
	for (unsigned int i = 0; in->left && i < MOST_STEPS && calls < MOST_CALLS; i++)
		step(in);
	check_counts();
	op_free_all();
	mm_quiesce();
	check_counts();
	check_reports();
	if (nr_free_pages() != pages_free)
		fuzz_fail("%lu pages are free, %lu were", nr_free_pages(), pages_free);
}
