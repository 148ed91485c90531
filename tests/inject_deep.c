/*
 * inject_deep.c - two calls deep: an instruction of a call is interrupted by a nested
 * call, and an instruction of that by a third one (inject_sweep.h).
 *
 * Too many to try all: the call's instruction, the nested call, its instruction and the
 * third call are drawn by a generator whose seed is printed (inject_seed=).
 */
#include <arch/time.h>
#include "kernel/printk.h"
#include "lib/random.h"
#include "tests/inject.h"
#include "tests/inject_sweep.h"
#include "tests/test.h"

#define FAR 999999999UL /* more instructions than any nested call has */

struct draw {
	u64 nested, third, i, j;
};

static bool run_once(const struct interrupted *c, const struct draw *d, bool *third_ran)
{
	const struct injection x = { .fn = c->run, .in_nmi = c->in_nmi, .waits = c->waits,
				     .nested = nested_calls[d->nested].fn,
				     .third = nested_calls[d->third].fn, .third_at = d->j };
	char what[160];

	snprintf(what, sizeof(what), "%s at its instruction %lu in %s, seed %ld,", nested_calls[d->third].name, d->j,
		 nested_calls[d->nested].name, inject_seed);
	point_begin(c);
	*third_ran = inject_run(&x, d->i) && inject_third_ran;
	return point_end(c, what, d->i);
}

/* How many instructions the nested call has there. */
static u64 length_of(const struct interrupted *c, struct draw d)
{
	bool ran;

	d.j = FAR;
	run_once(c, &d, &ran);
	return inject_nested_length;
}

/* In which state the call is: equal seeds give equal draws, in each sweep others. */
static u64 seed_of(const struct interrupted *c)
{
	return (u64)inject_seed + (u64)c->run * 31 + (u64)c->state;
}

void sweep_deep(const struct interrupted *c, u64 samples)
{
	const struct injection x = { .fn = c->run, .in_nmi = c->in_nmi, .waits = c->waits };
	u64 n, ran = 0, bad = 0, begun = arch_ns();
	struct rng rng;

	if (!samples)
		return;
	rng_init(&rng, seed_of(c));
	point_begin(c);
	n = inject_trace(&x);
	point_end(c, "nothing", 0);
	for (u64 k = 0; k < samples; k++) {
		struct draw d = { .nested = rng_below(&rng, NR_NESTED), .third = rng_below(&rng, NR_NESTED),
				  .i = 1 + rng_below(&rng, n) };
		u64 length = length_of(c, d);
		bool third_ran;

		d.j = 1 + rng_below(&rng, length ? length : 1);
		bad += !run_once(c, &d, &third_ran);
		ran += third_ran;
	}
	test_note("two deep: %lu points, %lu of them reached, %lu failed; seed %ld", samples, ran, bad, inject_seed);
	figures_add(c, &(struct sweep_figures){ .deep = ran, .deep_failed = bad, .ns = arch_ns() - begun });
}
