/*
 * inject_sweep.c - sweeps over the instructions of a call (inject_sweep.h).
 *
 * For each instruction and nested call: make the state, run the call with the nested one
 * between two instructions, and then all must be there: what the nested calls wanted,
 * what the call returns, the contents of all that is held, objects and pages to the last.
 */
#include "tests/inject_sweep.h"
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/panic.h"
#include "kernel/tick.h"
#include "mm/internal.h"
#include "tests/inject.h"
#include "tests/inject_state.h"
#include "tests/test.h"

#define LONG_CALL 300 /* instructions */

u64 nested_failed, nested_made;

/* ---- nested calls ---- */

static void want(bool got)
{
	nested_made++;
	nested_failed += !got;
}

static void nested_same(void *unused)
{
	void *p = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);

	(void)unused;
	want(hold(kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE)));
	want(p);
	kmem_cache_free_nolock(same, p);
}

static void nested_other(void *unused)
{
	void *p = kmem_cache_alloc_nolock(other, 0, NUMA_NO_NODE);

	(void)unused;
	want(hold(kmem_cache_alloc_nolock(other, 0, NUMA_NO_NODE)));
	want(p);
	kfree_nolock(p);
}

static void nested_pages(unsigned int order)
{
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, order);

	want(page);
	free_pages_nolock(page, order);
}

static void nested_order0(void *unused)
{
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, 0);

	(void)unused;
	nested_pages(0);
	want(page && hold(page_address(page)));
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
		want(p[i]);
		if (i % 4)
			kmem_cache_free_nolock(same, p[i]);
		else
			hold(p[i]);
	}
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
	{ "neighbour", nested_neighbour }, { "many", nested_many },
};

/* ---- one run ---- */

static u64 flags;

static void point_begin(const struct interrupted *c)
{
	flags = arch_irq_save();
	state_reset();
	c->state();
}

/* false: something is wrong, and has been told. */
static bool point_end(const struct interrupted *c, const char *nested, u64 at)
{
	u64 failed = nested_failed;
	bool ok = !c->settle || c->settle();
	const char *unsound = state_unsound();
	char where[64];

	arch_irq_restore(flags);
	if (ok && !unsound && !failed)
		return true;
	print_symbol(where, sizeof(where), injected_rip);
	test_fail(__FILE__, __LINE__, "%s before instruction %lu, %s: %lu nested calls failed%s%s%s", nested,
		  at, where, failed, ok ? "" : "; the call failed", unsound ? "; wrong: " : "",
		  unsound ? unsound : "");
	nested_failed = 0;
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

static u64 missed; /* places where the call did not come this time */

static bool point(const struct interrupted *c, const struct injection *x, const char *nested, u64 at)
{
	point_begin(c);
	missed += !inject_run(x, at);
	return point_end(c, nested, at);
}

/* The set of all nested calls comes at every instruction; in a long call each of them
 * alone at every third, another third for the next one. */
static u64 stride_of(const struct interrupted *c, unsigned int nested, u64 n)
{
	u64 stride = inject_stride(n);

	if (inject_full)
		return 1;
	if (c->stride)
		stride *= c->stride;
	return nested && n > LONG_CALL ? 3 * stride : stride;
}

void sweep(const struct interrupted *c)
{
	struct injection x = { .fn = c->run, .in_nmi = c->in_nmi };
	u64 n, points = 0, bad = 0;

	nested_failed = nested_made = missed = 0;
	REQUIRE(states_begin());
	n = trace(c, &x);
	for (unsigned int i = 0; i < NR_NESTED; i++) {
		u64 stride = stride_of(c, i, n);

		x.nested = nested_calls[i].fn;
		for (u64 at = 1 + i % stride; at <= n; at += stride) {
			bad += !point(c, &x, nested_calls[i].name, at);
			points++;
		}
	}
	states_end();
	/* Another CPU that has not served its IPI is not sent one: few places may be missed. */
	EXPECT(missed * 10 <= points);
	test_note("%lu instructions, %lu points, %lu nested calls, %lu points failed, %lu missed", n, points,
		  nested_made, bad, missed);
}
