/*
 * inject_pair.c - two calls on two CPUs, one stopped in the other (inject_pair.h).
 *
 * CPU 0 stops by a breakpoint or a step (inject.h), and there lets CPU 1 begin. CPU 1
 * stops by steps, with interrupts off, in its trap handler; it goes on when A is through.
 * A debug exception in which nothing is done leaves restartable sequences alone, so a
 * stop is as if the CPU had been slow there.
 *
 * Invariant: `meet` is written by CPU 0 while CPU 1 waits for a call, but for `stopped`
 * and `steps`, which are CPU 1's.
 */
#include "tests/inject_pair.h"
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/cmdline.h"
#include "kernel/printk.h"
#include "lib/random.h"
#include "mm/internal.h"
#include "tests/cpu1.h"
#include "tests/inject.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

#define MOST_FAILED 4  /* then the pair is left, */
#define MOST_IN_ALL 24 /* and the sweep: what is lost once is missing in all that come after */
#define FAR 999999999UL   /* steps: more than any B makes */
#define PATIENCE 20000 /* looks at a CPU 1 that may wait for this CPU */

static const char *replay = "", *resume = "";
static s64 places = 6, both;
KPARAM_INT(places, "pair_places", 1, 100000, "of a call that inject.two_cpus_* stop at in each pair; with inject_full all");
KPARAM_INT(both, "pair_both", 0, 100000, "schedules of each pair in which both CPUs stop");
KPARAM_STR(replay, "replay", "A:B:i:j, a schedule of inject.two_cpus_* alone, as a failure prints it");
KPARAM_STR(resume, "resume", "A:B, the pair from which inject.two_cpus_* go on");

unsigned int pair_order;

static struct {
	const struct pair_a *a;
	const struct pair_b *b;
	u64 j, steps;
	u32 stopped, go;
	bool begun;
} meet;

/* ---- CPU 1 ---- */

static void leave_nothing(void)
{
	magazine_flush(same, ~0UL);
	magazine_flush(other, ~0UL);
	page_flush_cpu();
}

static void run_b(void *unused)
{
	(void)unused;
	meet.b->run();
	leave_nothing();
}

static void stop_here(struct regs *r)
{
	if (++meet.steps != meet.j)
		return;
	r->rflags &= ~RFLAGS_TF;
	__atomic_store_n(&meet.stopped, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&meet.go, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static void serve_b(void)
{
	u64 flags;

	if (!meet.j) {
		run_b(NULL);
		return;
	}
	flags = arch_irq_save(); /* their handlers are no part of it */
	call_stepping(run_b, NULL);
	arch_irq_restore(flags);
}

/* ---- CPU 0 ---- */

static bool b_is_as_far_as_it_gets(u64 looks)
{
	return cpu1_done() || __atomic_load_n(&meet.stopped, __ATOMIC_ACQUIRE) ||
	       (meet.b->waits && looks > PATIENCE);
}

static void begin_b(void *unused)
{
	(void)unused;
	meet.begun = true;
	cpu1_begin(serve_b);
	for (u64 looks = 0; !b_is_as_far_as_it_gets(looks); looks++)
		if (looks > 1000)
			cpu_relax();
}

static void pair_state(void)
{
	meet.a->state();
	if (meet.b->state)
		meet.b->state();
}

/* A has returned; B goes on, or begins if A has not come so far. */
static bool settle(void)
{
	bool ok;

	if (!meet.begun) {
		meet.j = 0;
		cpu1_begin(serve_b);
	}
	__atomic_store_n(&meet.go, 1, __ATOMIC_RELEASE);
	if (meet.b->waits)
		arch_irq_enable();
	cpu1_wait();
	arch_irq_disable();
	ok = !meet.b->settle || meet.b->settle();
	return (!meet.a->settle || meet.a->settle()) && ok;
}

static void set_up(const struct pair_table *t, const struct schedule *s, struct interrupted *c,
		   struct injection *x)
{
	meet.a = &t->as[s->a];
	meet.b = &t->bs[s->b];
	meet.j = s->j;
	meet.steps = 0;
	meet.stopped = meet.go = 0;
	meet.begun = false;
	pair_order = meet.a->order;
	inject_other_cpu = stop_here;
	*c = (struct interrupted){ .state = pair_state, .run = meet.a->run, .settle = settle,
				   .elsewhere = !meet.b->disturbs };
	*x = (struct injection){ .fn = meet.a->run, .nested = begin_b, .waits = meet.a->waits,
				   .elsewhere = !meet.b->disturbs };
}

bool schedule_run(const struct pair_table *t, const struct schedule *s, bool *ran)
{
	struct interrupted c;
	struct injection x;
	char what[96];

	set_up(t, s, &c, &x);
	point_begin(&c);
	*ran = inject_run(&x, s->i);
	snprintf(what, sizeof(what), "%s; %s", meet.a->name, meet.b->name);
	return point_end(&c, what, s->i);
}

u64 schedule_trace(const struct pair_table *t, u64 a, u64 b)
{
	const struct schedule s = { a, b, 0, 0 };
	struct interrupted c;
	struct injection x;
	u64 n;

	set_up(t, &s, &c, &x);
	point_begin(&c);
	n = inject_trace(&x);
	point_end(&c, "nothing", 0);
	return n;
}

/* ---- a schedule as text ---- */

static bool take_number(const char **text, u64 *n)
{
	const char *first = *text;

	for (*n = 0; **text >= '0' && **text <= '9'; (*text)++)
		*n = *n * 10 + (u64)(**text - '0');
	return *text != first && *text - first < 10;
}

static bool take_pair(const struct pair_table *t, const char **text, struct schedule *s)
{
	return take_number(text, &s->a) && *(*text)++ == ':' && take_number(text, &s->b) && s->a < t->nr_a &&
	       s->b < t->nr_b;
}

bool schedule_parse(const struct pair_table *t, const char *text, struct schedule *s)
{
	return take_pair(t, &text, s) && *text++ == ':' && take_number(&text, &s->i) && *text++ == ':' &&
	       take_number(&text, &s->j) && !*text && s->i;
}

static void tell(const struct pair_table *t, const struct schedule *s)
{
	test_note("replay: SMP=%u ARGS=\"test=%s replay=%lu:%lu:%lu:%lu\" (CPU 0: %s; CPU 1: %s)",
		  num_online_cpus(), t->test, s->a, s->b, s->i, s->j, t->as[s->a].name, t->bs[s->b].name);
}

/* ---- sweeps ---- */

struct pair_figures {
	u64 pairs, whole, both, missed, failed;
};

/* false: failed. */
static bool explore(const struct pair_table *t, const struct schedule *s, struct pair_figures *f)
{
	bool ran, ok = schedule_run(t, s, &ran);

	f->missed += !ran;
	f->whole += ran && !s->j;
	f->both += ran && s->j;
	f->failed += !ok;
	if (!ok)
		tell(t, s);
	return ok;
}

/* How many steps B makes: it is asked to stop behind them. */
static u64 length_of_b(const struct pair_table *t, struct schedule s, struct pair_figures *f)
{
	s.i = 1;
	s.j = FAR;
	explore(t, &s, f);
	return meet.steps;
}

static void both_stop(const struct pair_table *t, struct schedule s, u64 n, struct pair_figures *f)
{
	u64 m = length_of_b(t, s, f), failed = 0;
	struct rng rng;

	rng_init(&rng, (u64)inject_seed + s.a * t->nr_b + s.b);
	for (s64 k = 0; k < both && failed < MOST_FAILED; k++) {
		s.i = 1 + rng_below(&rng, n);
		s.j = 1 + rng_below(&rng, m);
		failed += !explore(t, &s, f);
	}
}

static void explore_pair(const struct pair_table *t, u64 a, u64 b, struct pair_figures *f)
{
	u64 n = schedule_trace(t, a, b), stride = inject_full ? 1 : n / (u64)places + 1, failed = 0;
	struct schedule s = { a, b, 0, 0 };

	f->pairs++;
	for (s.i = 1 + b * stride / t->nr_b; s.i <= n && failed < MOST_FAILED; s.i += stride)
		failed += !explore(t, &s, f);
	if (n && both && !t->as[a].waits && !t->bs[b].waits)
		both_stop(t, s, n, f);
}

/* The first time it may go another way: nothing has been split or hinted at yet. */
static void warm_up(const struct pair_table *t, u64 a, u64 b)
{
	schedule_trace(t, a, b);
	schedule_trace(t, a, b);
}

static bool replay_one(const struct pair_table *t)
{
	struct schedule s;
	bool ran, ok;

	if (!*replay)
		return false;
	if (!schedule_parse(t, replay, &s)) {
		test_fail(__FILE__, __LINE__, "replay=%s: not A:B:i:j with a pair of this test", replay);
		return true;
	}
	warm_up(t, s.a, s.b);
	schedule_trace(t, s.a, s.b);
	ok = schedule_run(t, &s, &ran);
	tell(t, &s);
	test_note("replayed: %s%s", ok ? "passed" : "failed", ran ? "" : "; CPU 0 did not come to its instruction");
	return true;
}

void pairs_sweep(const struct pair_table *t)
{
	struct pair_figures f = { .pairs = 0 };
	struct schedule first = { .a = 0 };
	const char *from = resume;
	u64 begun = arch_ns();

	nested_failed = nested_made = 0;
	if (replay_one(t))
		return;
	if (*from && !take_pair(t, &from, &first))
		test_fail(__FILE__, __LINE__, "resume=%s: not A:B, a pair of this test", resume);
	for (u64 k = first.a * t->nr_b + first.b; k < t->nr_a * t->nr_b && f.failed < MOST_IN_ALL; k++) {
		u64 a = k / t->nr_b, b = k % t->nr_b, was = arch_ns();

		if (!b || !f.pairs)
			warm_up(t, a, b);
		explore_pair(t, a, b, &f);
		if (inject_full)
			test_note("%lu:%lu %s; %s: %lu ms", a, b, t->as[a].name, t->bs[b].name,
				  (arch_ns() - was) / 1000000);
	}
	EXPECT(f.missed * 10 <= f.whole + f.both);
	test_note("%lu pairs, %lu schedules explored: %lu of CPU 0 stopped, %lu of both (seed %ld), %lu missed, "
		  "%lu failed; %lu ms", f.pairs, f.whole + f.both, f.whole, f.both, inject_seed, f.missed, f.failed,
		  (arch_ns() - begun) / 1000000);
}
