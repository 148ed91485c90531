/*
 * reclaim.c - the end of memory: tight mode, giving back what is cached, and
 * the last resort before a call says NULL.
 *
 * Tight mode begins when free pages fall below tight_low: every CPU is asked to
 * flush, and until free pages rise above tight_high nobody caches anything. So
 * when memory really ends, all that is free is in the free map or in a slab's
 * state word, where any call in any context reaches it.
 * It is on as well, whatever is free, while any call is at its last resort: what that one wants
 * may have ended alone, the memory of a node or blocks of a size. And fault injection (fail.h)
 * has it go on.
 *
 * mm_tight is a hint: those who cache look again after they have cached
 * something, and take it back if the mode has changed.
 *
 * All functions but reclaim_wait: any context.
 */
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/rcu.h"
#include "mm/fail.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/typesafe.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include <arch/irq.h>

volatile u64 mm_tight;
u64 tight_low, tight_high; /* pages */

void reclaim_init(void)
{
	/* What the CPUs may hold privately, so that seldom must one be asked for it by NMI;
	 * and the count is looked at once a line. */
	u64 per_cpu = NR_PRIVATE * WORD_PAGES * arch_nr_cpus_found() + LINE_PAGES;

	tight_low = managed_pages / 256;
	if (tight_low < per_cpu)
		tight_low = per_cpu;
	if (tight_low > managed_pages / 4)
		tight_low = managed_pages / 4;
	tight_high = tight_low + tight_low / 4 + 16;
}

void tight_check(void)
{
	s64 nr_free = (s64)nr_free_pages();

	if (!(mm_tight & TIGHT_LOW) && (nr_free < (s64)tight_low || fail_keep_none)) {
		__atomic_fetch_or(&mm_tight, TIGHT_LOW, __ATOMIC_SEQ_CST);
		defer_kick_all();
	} else if (mm_tight & TIGHT_LOW && nr_free > (s64)tight_high && !fail_keep_none) {
		__atomic_fetch_and(&mm_tight, ~TIGHT_LOW, __ATOMIC_SEQ_CST);
	}
}

void press_begin(void)
{
	if (!__atomic_fetch_add(&mm_tight, TIGHT_PRESSED, __ATOMIC_SEQ_CST))
		defer_kick_all();
}

/* With the last one the mode is over by that, unless free memory is low. */
void press_end(void)
{
	__atomic_fetch_sub(&mm_tight, TIGHT_PRESSED, __ATOMIC_SEQ_CST);
}

u64 flush_cpu(void)
{
	u64 n = rcu_flush_here();

	if (CONFIG_KASAN)
		n += kasan_quarantine_drain();
	n += page_flush_cpu() + defer_serve();

	for (u32 i = 1; i < MAX_CACHES; i++) {
		if (__atomic_load_n(&caches[i].live, __ATOMIC_ACQUIRE))
			n += mm_tight ? magazine_close(&caches[i]) : magazine_flush(&caches[i], ~0UL);
		mm_point();
	}
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

/* ------------------------------------------------ what other CPUs hold, by NMI */

DEFINE_PER_CPU(struct cpu_asked, cpu_asked);

#define ANSWER_POLLS 64 /* what an answer to another counts as, of one's own polls */

bool mm_cpu_holds(unsigned int cpu)
{
	const struct page_cpu *pc = per_cpu_ptr(page_cpu, cpu);

	for (unsigned int i = 0; i < NR_PRIVATE; i++)
		if ((u32)READ_ONCE(pc->private[i]))
			return true;
	if (defer_count(cpu) || rcu_holds(cpu))
		return true;
	for (u32 i = 1; i < MAX_CACHES; i++)
		if (__atomic_load_n(&caches[i].live, __ATOMIC_ACQUIRE) && magazine_count(&caches[i], cpu))
			return true;
	return false;
}

/* True if it was asked. Whoever interrupts or comes late here does it again: harmless. But he
 * may have answered a later request, whose NMI does not come again. */
static bool answer(void)
{
	struct cpu_asked *a = this_cpu_ptr(cpu_asked);
	u64 n = __atomic_load_n(&a->asked, __ATOMIC_ACQUIRE), was = READ_ONCE(a->answered);

	if (likely(was >= n))
		return false;
	flush_cpu();
	sanitize_release(&a->answered);
	while (was < n && !this_cpu_cmpxchg64(&cpu_asked.answered, &was, n))
		;
	return true;
}

void reclaim_answer(void)
{
	answer();
}

/* While it waits it answers those who ask it, so two that wait for one another both
 * get what they want. *polls: what is left of those for all CPUs that were asked. */
static bool wait_for_answer(unsigned int cpu, u64 n, unsigned int *polls)
{
	const struct cpu_asked *a = per_cpu_ptr(cpu_asked, cpu);

	while (__atomic_load_n(&a->answered, __ATOMIC_ACQUIRE) < n) {
		unsigned int spent = answer() ? ANSWER_POLLS : 1;

		if (*polls < spent)
			return false;
		*polls -= spent;
		mm_point();
		cpu_relax();
	}
	return true;
}

/*
 * The last resort of every context: a CPU that still holds something, as it has not
 * served the IPI that tight mode sent it, or goes offline just now, is sent an NMI, which
 * nothing keeps out but another NMI. True if any has given back. Nothing is waited for that the
 * interrupted context would have to do, and for all of them together no longer than ASK_POLLS.
 */
static bool reclaim_others(void)
{
	unsigned int polls = ASK_POLLS;
	u64 wanted[NR_CPUS];
	bool got = false;

	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
		wanted[c] = 0;
		if (c == smp_processor_id() || !mm_cpu_holds(c))
			continue;
		wanted[c] = __atomic_add_fetch(&per_cpu_ptr(cpu_asked, c)->asked, 1, __ATOMIC_SEQ_CST);
		arch_send_nmi(c);
	}
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		if (wanted[c])
			got |= wait_for_answer(c, wanted[c], &polls);
	return got;
}

bool reclaim(void)
{
	u64 got;

	rcu_hurry(typesafe_waits());
	got = flush_cpu();
	got += reclaim_others();
	got += rcu_flush_here(); /* the others may have been waited for */
	return got + trim_all() > 0;
}

/* One pass does, unless it was interrupted so often that it has given up a magazine. NMIs
 * and breakpoints leave nothing when the CPU is offline. */
void mm_cpu_flush(void)
{
	do
		flush_cpu();
	while (!cpu_online(smp_processor_id()) && mm_cpu_holds(smp_processor_id()));
}

static void flush_here(void *unused)
{
	(void)unused;
	flush_cpu();
}

bool reclaim_may_wait(gfp_t gfp)
{
	return gfp & __GFP_RECLAIM && in_thread() && !arch_irqs_disabled();
}

bool reclaim_wait(gfp_t gfp)
{
	if (!reclaim_may_wait(gfp))
		return false;
	on_each_cpu(flush_here, NULL, true);
	trim_all();
	return true;
}
