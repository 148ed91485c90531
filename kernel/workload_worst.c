/*
 * workload_worst.c - the longest of the main job's nolock calls (workload_worst.h).
 *
 * Invariant: `longest` only grows, by the one CPU there is; an interrupt between its
 * comparison and its stores can at worst have the smaller of two stay.
 */
#include "kernel/workload_worst.h"
#include "kernel/context.h"
#include "kernel/exact.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include <arch/irq.h>

#define PROBE_SLACK 20UL /* instructions of the probe itself */

static bool measures;
static u64 calls; /* measured */
static struct {
	u64 ticks, bound;
	size_t size;
	const char *what;
	enum context ctx;
} longest, beyond; /* beyond: the first that was longer than its bound */

void worst_reset(void)
{
	measures = num_online_cpus() == 1 && clock_is_exact();
	longest.ticks = beyond.ticks = calls = 0;
}

/* Whatever this CPU has been interrupted by, counted together. */
static u64 interruptions(void)
{
	const u64 *count = (const u64 *)this_cpu_ptr(irq_counts);
	u64 n = 0;

	for (unsigned int i = 0; i < sizeof(struct irq_counts) / sizeof(u64); i++)
		n += READ_ONCE(count[i]);
	return n;
}

struct worst_probe worst_begin(void)
{
	struct worst_probe p = { 0, 0 };

	if (measures) {
		p.interrupted = interruptions();
		p.since = arch_rdtsc();
	}
	return p;
}

void worst_end(struct worst_probe p, const struct block *b, const char *what)
{
	u64 ticks, bound;

	if (!measures)
		return;
	ticks = arch_rdtsc() - p.since;
	if (interruptions() != p.interrupted)
		return;
	calls++;
	if (b->kind == BLOCK_ZEROED && ticks > block_charge(b) / sizeof(u64)) /* which is no search */
		ticks -= block_charge(b) / sizeof(u64);
	if (ticks <= longest.ticks)
		return;
	bound = mm_call_bound() + PROBE_SLACK;
	longest.ticks = ticks;
	longest.bound = bound;
	longest.size = b->size;
	longest.what = what;
	longest.ctx = current_context();
	if (ticks > bound && !beyond.ticks)
		beyond = longest;
}

bool worst_print(void)
{
	if (!measures || !calls)
		return true;
	printk("longest of %lu nolock calls that nothing interrupted: %lu instructions (but for zeroing), %s of %zu bytes in %s; bound %lu\n",
	       calls, longest.ticks, longest.what, longest.size, context_name(longest.ctx), longest.bound);
	if (beyond.ticks)
		printk("beyond its bound of %lu: %lu instructions, %s of %zu bytes in %s\n", beyond.bound, beyond.ticks,
		       beyond.what, beyond.size, context_name(beyond.ctx));
	return !beyond.ticks;
}
