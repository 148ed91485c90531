/*
 * watchdog.c - finds a CPU that is locked up with interrupts off.
 *
 * In NMIs, SAMPLES times a period, each CPU looks whether its tick count has
 * moved. It is locked up if it has not since a sample NEEDED samples ago, all of
 * which found interrupts off, over NEEDED parts of a period; the rest of the period is
 * for NMIs that come late. Time alone would not do: an emulated CPU may be put
 * aside by its host for longer than a period, but then it takes no samples either.
 * And where interrupts were on the tick is only late.
 *
 * Each sample is a record from kmalloc_nolock, kept in a ring of its CPU and
 * freed by kfree_nolock when the next lap replaces it; a report prints them.
 *
 * A CPU that takes no NMIs cannot do that: it is in one that does not end, which keeps all
 * others out until an IRET, or has stopped, or the source does not reach it; nor one that is
 * in one of these NMIs here. So each CPU, in its timer interrupts, also looks whether the next one's checks go on
 * (`beats`). If they have not for a period it sends it an NMI itself, from then on each time
 * that it looks: who takes it is checked, whatever has become of the source. If they have not for
 * watchdog_silent= ms, it is reported, with where it was seen last.
 *
 * Invariant: a CPU's struct watch is touched in its own NMIs only, by one at a time
 * (`busy`), but for the three words that the CPU before it reads; its struct view in its
 * own timer interrupts only; and both by CPU 0 after `paused` and a hook_sync, or while the
 * CPU is offline, when nothing is in it.
 */
#include "kernel/watchdog.h"
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/cmdline.h"
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/tick.h"

#define SAMPLES 10
#define NEEDED 6
#define NMIS 4 /* to each sample, so that it comes when it is due */
#define RING 8
#define LEAST_HZ 20 /* the PIT cannot be slower */
#define LEAST_MS 100
#define LEAST_LOOKS 20 /* at a CPU that is silent: time alone would not do here either */
#define NO_TICKS (~0UL) /* no tick count: interrupts were on */

s64 watchdog_ms = 2000, lockup_panic = 1;
KPARAM_INT(watchdog_ms, "watchdog", 0, 60000,
	   "ms without a timer interrupt until a CPU counts as locked up, 100 or more; 0: never");
s64 watchdog_silent_ms = 10000;
KPARAM_INT(watchdog_silent_ms, "watchdog_silent", 0, 600000,
	   "ms without a check of a CPU, though NMIs are sent to it, until it is reported; 0: never, and none are sent");
KPARAM_INT(lockup_panic, "lockup_panic", 0, 1, "1: a locked-up CPU is a panic");

struct sample {
	u64 ns, rip, rsp, rflags, ticks;
	u32 depth; /* of interrupts, NMIs, debug exceptions: context_depth */
};

struct watch {
	u64 busy;
	u64 last_ns;          /* when the last sample was due */
	u64 ticks, since_ns;  /* the tick count that stands still, interrupts off; since when */
	u64 stuck;            /* samples after that one that found it so */
	u64 reported;
	u64 next;             /* slot of the ring */
	u64 beats;            /* checks done, for the CPU before this one */
	u64 answers, seen_at; /* and NMIs taken, with where the last one found it */
	struct sample *ring[RING];
};

/* Of the next CPU online, as this one sees it. */
struct view {
	unsigned int cpu;
	u64 beats, answers, since_ns; /* the beats stand still; since when */
	u64 looks;                    /* at them, since then */
	u64 last_ns;                  /* the last look */
	u64 asks;                     /* an NMI with each: it was silent once */
	u64 reported;
};

static DEFINE_PER_CPU(struct watch, watch);
static DEFINE_PER_CPU(struct view, view);
DEFINE_PER_CPU(struct watchdog_counts, watchdog_counts);
int watchdog_last_lockup = -1, watchdog_last_silent = -1;
static unsigned int paused = 1; /* until watchdog_init */

static u64 period_ns(void)
{
	return (u64)READ_ONCE(watchdog_ms) * 1000000;
}

static void keep_sample(struct watch *w, const struct regs *r, u64 now, u64 ticks)
{
	struct sample *s = kmalloc_nolock(sizeof(*s), 0, NUMA_NO_NODE);

	if (!s) {
		this_cpu_add64(watchdog_counts.failed, 1);
		return;
	}
	*s = (struct sample){ .ns = now, .rip = r->rip, .rsp = r->rsp, .rflags = r->rflags,
			      .ticks = ticks, .depth = (u32)this_cpu_read64(context_depth) };
	if (w->ring[w->next]) /* of NULL it would fault, and the IRET of that let NMIs in here */
		kfree_nolock(w->ring[w->next]);
	w->ring[w->next] = s;
	w->next = (w->next + 1) % RING;
	this_cpu_add64(watchdog_counts.samples, 1);
}

static void print_samples(const struct watch *w, u64 now)
{
	char symbol[96];

	for (unsigned int i = 0; i < RING; i++) {
		const struct sample *s = w->ring[(w->next + i) % RING];

		if (!s)
			continue;
		print_symbol(symbol, sizeof(symbol), s->rip);
		printk("  %4lu ms ago: tick %lu, interrupts %s, %s\n", (now - s->ns) / 1000000, s->ticks,
		       s->rflags & RFLAGS_IF ? "on" : "off", symbol);
	}
}

static void report(struct watch *w, struct regs *r, u64 now)
{
	unsigned int cpu = smp_processor_id();
	u64 ms = (now - w->since_ns) / 1000000;

	w->reported = 1;
	printk("watchdog: hard LOCKUP on CPU %u: no timer interrupt for %lu ms, interrupts off\n", cpu, ms);
	print_samples(w, now);
	if (READ_ONCE(lockup_panic))
		panic_regs(r, "hard lockup on CPU %u", cpu);
	print_regs(r);
	print_backtrace(r->rip, r->rbp);
	WRITE_ONCE(watchdog_last_lockup, (int)cpu);
	barrier();
	this_cpu_add64(watchdog_counts.lockups, 1); /* last: who waits for it may leave */
}

static void begin_anew(struct watch *w, u64 ticks, u64 now)
{
	w->ticks = ticks;
	w->since_ns = now;
	w->stuck = 0;
	w->reported = 0;
}

static void check(struct watch *w, struct regs *r, u64 now)
{
	u64 ticks = tick_number(smp_processor_id()), period = period_ns(), step = period / SAMPLES;

	if (now - w->last_ns < step)
		return;
	/* One late NMI does not put off all that follow; what was missed is missed. */
	w->last_ns = now - w->last_ns < 2 * step ? w->last_ns + step : now;
	keep_sample(w, r, now, ticks);
	if (ticks != w->ticks || r->rflags & RFLAGS_IF) {
		begin_anew(w, r->rflags & RFLAGS_IF ? NO_TICKS : ticks, now);
		return;
	}
	w->stuck++;
	if (w->stuck >= NEEDED && now - w->since_ns >= period * NEEDED / SAMPLES && !w->reported)
		report(w, r, now);
}

void watchdog_nmi(struct regs *r)
{
	struct watch *w = this_cpu_ptr(watch);

	if (__atomic_load_n(&paused, __ATOMIC_ACQUIRE) || !READ_ONCE(watchdog_ms))
		return;
	WRITE_ONCE(w->seen_at, r->rip);
	WRITE_ONCE(w->answers, w->answers + 1);
	if (w->busy)
		return;
	w->busy = 1; /* an NMI inside this one keeps out */
	barrier();
	check(w, r, arch_ns());
	barrier();
	w->busy = 0;
	WRITE_ONCE(w->beats, w->beats + 1);
}

/* ---- the next CPU, as this one sees it ---- */

static void report_silent(struct view *v, const struct watch *w, u64 now)
{
	u64 ms = (now - v->since_ns) / 1000000;
	bool answers = READ_ONCE(w->answers) != v->answers;
	const char *why = answers ? "its NMIs find it in one of the watchdog's" :
				    "it takes no NMI, so it is in one that does not end, or has stopped";
	char symbol[96] = "no place yet";

	v->reported = 1;
	if (READ_ONCE(w->seen_at))
		print_symbol(symbol, sizeof(symbol), READ_ONCE(w->seen_at));
	printk("watchdog: CPU %u is SILENT, sees CPU %u: no check for %lu ms: %s; last seen at %s\n", v->cpu,
	       smp_processor_id(), ms, why, symbol);
	if (READ_ONCE(lockup_panic))
		panic("CPU %u is silent: %s", v->cpu, why);
	WRITE_ONCE(watchdog_last_silent, (int)v->cpu);
	barrier();
	this_cpu_add64(watchdog_counts.silent, 1); /* last, as above */
}

static void look_anew(struct view *v, unsigned int cpu, const struct watch *w, u64 now)
{
	*v = (struct view){ .cpu = cpu, .asks = v->asks && v->cpu == cpu, .beats = READ_ONCE(w->beats), .answers = READ_ONCE(w->answers),
			    .since_ns = now, .last_ns = now };
}

static void look(struct view *v, unsigned int cpu, u64 now)
{
	const struct watch *w = per_cpu_ptr(watch, cpu);

	if (v->asks)
		arch_send_nmi(cpu);
	if (cpu != v->cpu || READ_ONCE(w->beats) != v->beats) {
		look_anew(v, cpu, w, now);
		return;
	}
	v->looks++;
	v->last_ns = now;
	if (v->looks == SAMPLES)
		v->asks = 1;
	if (v->looks >= LEAST_LOOKS && now - v->since_ns >= (u64)READ_ONCE(watchdog_silent_ms) * 1000000 && !v->reported)
		report_silent(v, w, now);
}

void watchdog_tick(void)
{
	struct view *v = this_cpu_ptr(view);
	unsigned int me = smp_processor_id(), cpu;
	u64 now;

	if (__atomic_load_n(&paused, __ATOMIC_ACQUIRE) || !READ_ONCE(watchdog_ms) || !READ_ONCE(watchdog_silent_ms))
		return;
	cpu = next_online_cpu(me + 1);
	if (cpu >= NR_CPUS)
		cpu = 0; /* it is always online */
	now = arch_ns();
	if (cpu != me && now - v->last_ns >= period_ns() / SAMPLES)
		look(v, cpu, now);
}

bool watchdog_paused(void)
{
	return READ_ONCE(paused);
}

void watchdog_forget(unsigned int cpu)
{
	struct watch *w = per_cpu_ptr(watch, cpu);

	for (unsigned int i = 0; i < RING; i++) {
		kfree(w->ring[i]);
		w->ring[i] = NULL;
	}
	begin_anew(w, 0, arch_ns());
	w->last_ns = 0;
	*per_cpu_ptr(view, cpu) = (struct view){ .cpu = NR_CPUS };
}

static void forget(void)
{
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		watchdog_forget(cpu);
}

static unsigned int nmi_hz(void)
{
	unsigned int hz = watchdog_ms ? (unsigned int)(1000 * NMIS * SAMPLES / watchdog_ms) : 0;

	return hz < LEAST_HZ ? LEAST_HZ : hz;
}

void watchdog_pause(bool pause)
{
	BUG_ON(!pause && !paused);
	if (pause)
		WRITE_ONCE(paused, paused + 1);
	if (pause && paused == 1) {
		nmi_source_set_hz(0);
		hook_sync();
		forget();
	} else if (!pause && paused == 1) {
		forget();
		__atomic_store_n(&paused, 0, __ATOMIC_RELEASE);
		if (watchdog_ms)
			nmi_source_set_hz(nmi_hz());
	} else if (!pause) {
		WRITE_ONCE(paused, paused - 1);
	}
}

bool watchdog_init(void)
{
	if (watchdog_ms && watchdog_ms < LEAST_MS) {
		printk("error: kernel argument 'watchdog': %ld is neither 0 nor within %d to 60000\n", watchdog_ms,
		       LEAST_MS);
		return false;
	}
	if (!nmi_source_init())
		return false;
	watchdog_pause(false);
	if (watchdog_ms)
		printk("watchdog: %ld ms, NMIs by %s, %u a second\n", watchdog_ms, nmi_source_name(),
		       nmi_source_hz());
	return true;
}
