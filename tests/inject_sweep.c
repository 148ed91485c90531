/*
 * inject_sweep.c - sweeps over the instructions of a call (inject_sweep.h), by debug
 * exceptions. By NMIs: inject_nmi.c.
 *
 * For each instruction and nested call: make the state, run the call with the nested one
 * between two instructions, and then all must be there: what the nested calls wanted,
 * what the call returns, the contents of all that is held, objects and pages to the last.
 */
#include "tests/inject_sweep.h"
#include <arch/cpu.h>
#include <arch/time.h>
#include "kernel/panic.h"
#include "mm/internal.h"
#include "tests/inject.h"
#include "tests/inject_state.h"
#include "tests/test.h"

#define LONG_CALL 300 /* instructions */
#define PLACES_ELSEWHERE 50

u64 nested_failed, nested_made;

/* ---- nested calls ---- */

void nested_want(bool got)
{
	nested_made++;
	nested_failed += !got;
}

static void nested_same(void *unused)
{
	void *p = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);

	(void)unused;
	nested_want(hold(kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE)));
	nested_want(p);
	kmem_cache_free_nolock(same, p);
}

static void nested_other(void *unused)
{
	void *p = kmem_cache_alloc_nolock(other, 0, NUMA_NO_NODE);

	(void)unused;
	nested_want(hold(kmem_cache_alloc_nolock(other, 0, NUMA_NO_NODE)));
	nested_want(p);
	kfree_nolock(p);
}

static void nested_pages(unsigned int order)
{
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, order);

	nested_want(page);
	free_pages_nolock(page, order);
}

static void nested_order0(void *unused)
{
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, 0);

	(void)unused;
	nested_pages(0);
	nested_want(page && hold(page_address(page)));
}

static void nested_order3(void *unused)
{
	(void)unused;
	nested_pages(3);
}

static void nested_order9(void *unused)
{
	(void)unused;
	nested_pages(9);
}

/* An object of the same slab, in use until now. */
static void nested_neighbour(void *unused)
{
	(void)unused;
	kfree_nolock(let_go());
}

/* More than the magazine holds, in both directions. */
static void nested_many(void *unused)
{
	void *p[2 * SAME_LIMIT];

	(void)unused;
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
		nested_want(p[i]);
		if (i % 4)
			kmem_cache_free_nolock(same, p[i]);
		else
			hold(p[i]);
	}
}

/* What an interrupt or the last resort does: all that is at hand back into the slabs,
 * also what the interrupted call has just put there, and an object of its slab. */
static void nested_flush(void *unused)
{
	void *neighbour = let_go(), *p = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);

	(void)unused;
	nested_want(hold(kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE)));
	nested_want(p);
	kmem_cache_free_nolock(same, p);
	kmem_cache_free_nolock(same, neighbour);
	magazine_flush(same, ~0UL);
	defer_serve();
	page_flush_cpu();
}

/* The slab has as many free as before, the same first, but the others in another order. */
static void nested_reorder(void *unused)
{
	void *p[3];

	(void)unused;
	for (unsigned int i = 0; i < 3; i++)
		p[i] = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
	nested_want(p[0] && p[1] && p[2]);
	kmem_cache_free_nolock(same, p[1]);
	kmem_cache_free_nolock(same, p[2]);
	kmem_cache_free_nolock(same, p[0]);
}

/* From now on nobody is to keep anything, the interrupted call neither. */
static void nested_tight(void *unused)
{
	(void)unused;
	state_tight(true);
}

/* An object whose slab this CPU has nothing else to do with. */
static void nested_remote(void *unused)
{
	void *p = remote_let_go();

	(void)unused;
	kfree_nolock(p);
}

static void nested_all(void *unused)
{
	nested_same(unused);
	nested_other(unused);
	nested_neighbour(unused);
	nested_order0(unused);
	nested_order3(unused);
	nested_order9(unused);
}

const struct nested_call nested_calls[NR_NESTED] = {
	{ "all", nested_all }, { "same cache", nested_same }, { "other cache", nested_other },
	{ "order 0", nested_order0 }, { "order 3", nested_order3 }, { "order 9", nested_order9 },
	{ "neighbour", nested_neighbour }, { "many", nested_many }, { "flush", nested_flush },
	{ "other order", nested_reorder }, { "memory gets tight", nested_tight }, { "remote object", nested_remote },
};

/* ---- one run ---- */

static u64 flags;
static bool quiet;

void points_quiet(bool on)
{
	quiet = on;
}

void point_begin(const struct interrupted *c)
{
	flags = arch_irq_save();
	state_reset();
	state_remote();
	c->state();
}

bool point_end(const struct interrupted *c, const char *what, u64 at)
{
	u64 failed = nested_failed;
	bool ok = !c->settle || c->settle();
	const char *unsound = state_unsound();
	char where[64];

	arch_irq_restore(flags);
	nested_failed = 0;
	if (ok && !unsound && !failed)
		return true;
	if (quiet)
		return false;
	print_symbol(where, sizeof(where), injected_rip);
	test_fail(__FILE__, __LINE__, "%s before instruction %lu, %s: %lu nested calls failed%s%s%s", what,
		  at, where, failed, ok ? "" : "; the call failed", unsound ? "; wrong: " : "",
		  unsound ? unsound : "");
	return false;
}

/* ---- by debug exceptions ---- */

/* The first time it may go another way: nothing has been split or hinted at yet. */
static u64 trace(const struct interrupted *c, const struct injection *x)
{
	u64 n = 0;

	for (unsigned int i = 0; i < 3; i++) {
		point_begin(c);
		n = inject_trace(x);
		point_end(c, "nothing", 0);
	}
	return n;
}

static bool run_once(const struct interrupted *c, const struct injection *x, const char *nested, u64 at,
		     bool *ran)
{
	point_begin(c);
	*ran = inject_run(x, at);
	return point_end(c, nested, at);
}

static u64 missed; /* places where the call did not come, nor before them */

/* What earlier points left in the map may lead it another way, which may not come by here:
 * then there is a new trace, and the place before is tried. */
#define TRIES 4
static bool point(const struct interrupted *c, const struct injection *x, const char *nested, u64 at)
{
	for (u64 i = 0; i < TRIES; i++) {
		bool ran, ok = run_once(c, x, nested, at > i ? at - i : 1, &ran);

		if (ran || !ok)
			return ok;
		if (at > trace(c, x))
			return true; /* it is shorter now */
	}
	missed++;
	return true;
}

/* A set of all nested calls and the flush come at every instruction; in a long
 * call each of the others at every third, another third for the next one. On another
 * CPU all of them come at so many places, others for the next one. */
static u64 stride_of(const struct interrupted *c, const struct injection *x, bool often, u64 n)
{
	u64 stride = inject_stride(x, n);

	if (inject_full)
		return 1;
	if (c->stride)
		return stride * c->stride;
	if (c->elsewhere)
		return n / PLACES_ELSEWHERE + 1;
	return often || n <= LONG_CALL ? stride : 3 * stride;
}

void sweep_with(const struct interrupted *c, const struct nested_call *calls, unsigned int nr_calls)
{
	struct injection x = { .fn = c->run, .in_nmi = c->in_nmi, .elsewhere = c->elsewhere,
			       .waits = c->waits };
	u64 n, points = 0, bad = 0, begun = arch_ns();

	nested_failed = nested_made = missed = 0;
	n = trace(c, &x);
	for (unsigned int i = 0; i < nr_calls; i++) {
		u64 stride = stride_of(c, &x, !i || calls[i].fn == nested_flush, n);

		x.nested = calls[i].fn;
		for (u64 at = 1 + i * stride / nr_calls; at <= n; at += stride) {
			bad += !point(c, &x, calls[i].name, at);
			points++;
		}
	}
	/* Another CPU that has not served its IPI is not sent one: few places may be missed; of
	 * less than ten, one. */
	EXPECT(missed * 10 < points + 10 && missed < points);
	test_note("%lu instructions, %lu points, %lu nested calls, %lu points failed, %lu missed", n, points,
		  nested_made, bad, missed);
	figures_add(c, &(struct sweep_figures){ .instructions = n, .points = points, .failed = bad,
						.ns = arch_ns() - begun });
}

void sweep(const struct interrupted *c)
{
	if (!step_possible())
		return;
	REQUIRE(states_begin());
	sweep_with(c, nested_calls, NR_NESTED);
	sweep_deep(c, inject_deep);
	states_end();
}
