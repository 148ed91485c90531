/*
 * workload_worst.c - the longest of the main job's nolock calls (workload_worst.h).
 *
 * Each call is measured from the clock before it to the clock behind it, less what the job
 * itself did in interrupts meanwhile. What is left besides the call's own instructions only
 * makes it longer: entries, the kernel's own interrupts, and the turns of other CPUs. So a
 * call that is within its bound by this measure is within it.
 *
 * Invariant: a CPU's records are changed by that CPU only, and only grow; an interrupt
 * between a comparison and its stores can at worst have the smaller of two stay.
 */
#include "kernel/workload_worst.h"
#include "kernel/context.h"
#include "kernel/exact.h"
#include "kernel/printk.h"
#include "kernel/sched.h"
#include "mm/mm.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include <arch/irq.h>

#define PROBE_SLACK 20UL /* instructions of the probe itself */
#define CLOCK_TRIES 10   /* another CPU's turn in the middle of one spoils it */

enum { ALONE, AMONG, INTERRUPTED, NR_KINDS };
static const char *const kind_name[NR_KINDS] = {
	[ALONE] = "with the machine for itself",
	[AMONG] = "in which other CPUs ran, with what they did",
	[INTERRUPTED] = "that was interrupted, without the job's part in that",
};

struct longest {
	u64 ticks, bound;
	size_t size;
	const char *what;
	enum context ctx;
};

struct worst {
	u64 turns; /* grows with each probe */
	u64 aside; /* ticks that the job has spent in interrupts */
	u64 calls[NR_KINDS];
	struct longest longest[NR_KINDS], beyond; /* the first that was longer than its bound */
};
static DEFINE_PER_CPU(struct worst, worst);
static bool measures;

void worst_reset(void)
{
	unsigned int cpus = num_possible_cpus();

	measures = false;
	for (unsigned int i = 0; !measures && i < CLOCK_TRIES; i++)
		measures = clock_is_exact();
	for (unsigned int c = 0; c < cpus; c++)
		*per_cpu_ptr(worst, c) = (struct worst){ .turns = 0 };
}

/* Whatever a CPU has been interrupted by, counted together. */
static u64 interruptions(unsigned int cpu)
{
	const u64 *count = (const u64 *)per_cpu_ptr(irq_counts, cpu);
	u64 n = 0;

	for (unsigned int i = 0; i < sizeof(struct irq_counts) / sizeof(u64); i++)
		n += READ_ONCE(count[i]);
	return n;
}

/* Changes when another CPU has been at work: it makes call after call, or is interrupted. */
static u64 others(unsigned int me)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		if (c != me)
			n += READ_ONCE(per_cpu_ptr(worst, c)->turns) + interruptions(c);
	return n;
}

struct worst_probe worst_begin(void)
{
	struct worst_probe p = { .since = 0 };

	if (!measures)
		return p;
	this_cpu_add64(worst.turns, 1);
	p.cpu = smp_processor_id();
	p.switches = sched_switches(p.cpu);
	p.others = others(p.cpu);
	p.interrupted = interruptions(p.cpu);
	p.since = arch_rdtsc();
	p.aside = this_cpu_read64(worst.aside); /* inside: who comes between is in the time, not in this */
	return p;
}

static unsigned int kind_of(const struct worst_probe *p)
{
	if (interruptions(p->cpu) != p->interrupted)
		return INTERRUPTED;
	return others(p->cpu) != p->others ? AMONG : ALONE;
}

/* A CPU that stands still makes no loop of another go round; calls that interrupt one are
 * to it as those of one CPU more. */
static u64 bound_of(unsigned int kind)
{
	unsigned int cpus = num_possible_cpus();

	return mm_call_bound(kind == ALONE ? 1 : kind == AMONG ? cpus : cpus + 1) + PROBE_SLACK;
}

static void note(struct worst *w, unsigned int kind, struct longest l)
{
	if (l.ticks <= w->longest[kind].ticks)
		return;
	l.bound = bound_of(kind);
	w->longest[kind] = l;
	if (l.ticks > l.bound && !w->beyond.ticks)
		w->beyond = l;
}

void worst_end(struct worst_probe p, const struct block *b, const char *what)
{
	struct longest l = { .size = b->size, .what = what, .ctx = current_context() };
	u64 aside = this_cpu_read64(worst.aside);
	unsigned int kind;

	if (!measures)
		return;
	l.ticks = arch_rdtsc() - p.since;
	if (smp_processor_id() != p.cpu || sched_switches(p.cpu) != p.switches)
		return; /* another thread has run in it */
	kind = kind_of(&p);
	l.ticks -= aside - p.aside;
	if (b->kind == BLOCK_ZEROED && l.ticks > block_charge(b) / sizeof(u64)) /* which is no search */
		l.ticks -= block_charge(b) / sizeof(u64);
	this_cpu_add64(worst.turns, 1);
	this_cpu_ptr(worst)->calls[kind]++;
	note(this_cpu_ptr(worst), kind, l);
}

struct worst_aside worst_aside_begin(void)
{
	struct worst_aside a = { 0, 0 };

	if (measures) {
		a.before = this_cpu_read64(worst.aside);
		a.since = arch_rdtsc();
	}
	return a;
}

/* Those within it are part of it. */
void worst_aside_end(struct worst_aside a)
{
	if (measures)
		this_cpu_write64(worst.aside, a.before + (arch_rdtsc() - a.since));
}

/* ---------------------------------------------------------------- printing */

static void print_kind(unsigned int kind)
{
	struct longest l = { .ticks = 0 };
	u64 calls = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
		const struct worst *w = per_cpu_ptr(worst, c);

		calls += w->calls[kind];
		if (w->longest[kind].ticks > l.ticks)
			l = w->longest[kind];
	}
	if (calls)
		printk("longest of %lu nolock calls %s: %lu instructions (but for zeroing), %s of %zu bytes in %s; bound %lu\n",
		       calls, kind_name[kind], l.ticks, l.what, l.size, context_name(l.ctx), l.bound);
}

static bool print_beyond(unsigned int cpu)
{
	const struct longest *l = &per_cpu_ptr(worst, cpu)->beyond;

	if (l->ticks)
		printk("beyond its bound of %lu: %lu instructions, %s of %zu bytes in %s on CPU %u\n", l->bound, l->ticks,
		       l->what, l->size, context_name(l->ctx), cpu);
	return !l->ticks;
}

bool worst_print(void)
{
	bool ok = true;

	if (!measures)
		return true;
	for (unsigned int kind = 0; kind < NR_KINDS; kind++)
		print_kind(kind);
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		ok &= print_beyond(c);
	return ok;
}
