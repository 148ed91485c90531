/*
 * reclaim.c - the end of memory: tight mode, giving back what is cached, and
 * the last resort before a call says NULL.
 *
 * Tight mode begins when free pages fall below tight_low: every CPU is asked to
 * flush, and until free pages rise above tight_high nobody caches anything. So
 * when memory really ends, all that is free is in the free map or in a slab's
 * state word, where any call in any context reaches it.
 * Fault injection (fail.h) has the mode go on whatever is free.
 *
 * mm_tight is a hint: those who cache look again after they have cached
 * something, and take it back if the mode has changed.
 *
 * All functions but reclaim_wait: any context.
 */
#include "kernel/context.h"
#include "kernel/panic.h"
#include "mm/fail.h"
#include "mm/internal.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>

volatile bool mm_tight;
u64 tight_low, tight_high; /* pages */

void reclaim_init(void)
{
	/* What the CPUs may hold privately must be gone well before the end. */
	u64 per_cpu = 2 * NR_PRIVATE * WORD_PAGES * arch_nr_cpus_found();

	tight_low = managed_pages / 64;
	if (tight_low < per_cpu)
		tight_low = per_cpu;
	if (tight_low > managed_pages / 4)
		tight_low = managed_pages / 4;
	tight_high = tight_low + tight_low / 4 + 16;
}

void tight_check(void)
{
	s64 nr_free = (s64)nr_free_pages();

	if (!mm_tight && (nr_free < (s64)tight_low || fail_keep_none)) {
		__atomic_store_n(&mm_tight, true, __ATOMIC_SEQ_CST);
		defer_kick_all();
	} else if (mm_tight && nr_free > (s64)tight_high && !fail_keep_none) {
		__atomic_store_n(&mm_tight, false, __ATOMIC_SEQ_CST);
	}
}

u64 flush_cpu(void)
{
	u64 n = page_flush_cpu() + defer_serve();

	for (u32 i = 1; i < MAX_CACHES; i++)
		if (__atomic_load_n(&caches[i].live, __ATOMIC_ACQUIRE))
			n += mm_tight ? magazine_close(&caches[i]) : magazine_flush(&caches[i], ~0UL);
	return n;
}

u64 trim_all(void)
{
	u64 pages = 0;

	for (u32 i = 1; i < MAX_CACHES; i++)
		for (int nid = 0; nid < (int)num_nodes(); nid++)
			if (__atomic_load_n(&caches[i].live, __ATOMIC_ACQUIRE))
				pages += partial_trim(&caches[i], nid);
	return pages;
}

bool reclaim(void)
{
	u64 got = flush_cpu();

	if (!mm_tight)
		defer_kick_all();
	return got + trim_all() > 0;
}

static void flush_here(void *unused)
{
	(void)unused;
	flush_cpu();
}

bool reclaim_wait(gfp_t gfp)
{
	if (!(gfp & __GFP_RECLAIM) || !in_thread() || arch_irqs_disabled())
		return false;
	on_each_cpu(flush_here, NULL, true);
	trim_all();
	return true;
}
