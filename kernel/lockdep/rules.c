/*
 * rules.c - the rules of taking locks, looked at when one will be waited for and
 * when it is taken. docs/design-lockdep.md has them in words.
 *
 * A rule is looked at when something new is seen: an edge, or a usage of a class. So what
 * has been reported is not reported again, and what has been seen costs little.
 */
#include "internal.h"
#include <anyctx/preempt.h>
#include <arch/cpu.h>

/* Whoever is at the first has to get on for who is at the second, and cannot. */
static const struct {
	enum usage a, b;
} pairs[] = {
	{ USED_IN_IRQ, HELD_IRQS_ON },
	{ WAITED_IRQS_OFF, NEEDS_IRQS },
};

/* One that is `b` at the end of a chain that begins with one that is `a`, through that
 * class; or, where it has one of both usages, from there. */
static bool chain_through(const struct lock_class *from, const struct lock_class *to, unsigned int pair, u64 rbp)
{
	struct search back, on;
	int first = graph_search(&back, class_index(from), true, -1, pairs[pair].a);
	int last = first < 0 ? -1 : graph_search(&on, class_index(to), false, -1, pairs[pair].b);

	if (last < 0)
		return false;
	report_usage(pairs[pair].a, pairs[pair].b, first, last, class_index(from), class_index(to), &back, &on, rbp);
	return true;
}

static void use(struct lock_class *c, enum usage u, u64 rbp)
{
	struct trace t;

	if (READ_ONCE(c->usage) >> u & 1)
		return;
	trace_take(&t, rbp);
	if (!class_use(c, u, &t))
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(pairs); i++)
		if (pairs[i].a == u || pairs[i].b == u)
			chain_through(c, c, i, rbp);
}

static void check_edge(const struct held *h, struct lock_class *to, const struct trace *here, u64 rbp)
{
	struct search s;

	if (!graph_add(h->class, to, &h->at, here))
		return;
	if (graph_search(&s, class_index(to), false, (int)class_index(h->class), 0) >= 0) {
		report_order(h, to, &s, rbp);
		return;
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(pairs); i++)
		if (chain_through(h->class, to, i, rbp))
			return;
}

/* In this context, not in one that it interrupted. */
static const char *inside_section(void)
{
	for (u64 i = held_count(); i--;) {
		const struct held *h = held_at(i);

		if (h && h->how == LOCK_SECTION && h->depth == this_cpu_read64(context_depth))
			return h->class->name;
	}
	return NULL;
}

/* Of the caller, as we keep the CPU as well. */
static bool keeps_cpu(void)
{
	return this_cpu_read64(preempt_count) > 1;
}

/* Where this is, if it may not be waited for here; else NULL. */
static const char *forbidden(const struct lock_class *c, enum lock_how how)
{
	u64 depth = this_cpu_read64(context_depth);
	const char *section = inside_section();

	if (depth >= CTX_DEPTH_NMI)
		return "an NMI or a breakpoint's handler";
	if (how != LOCK_SERVICE && section)
		return section;
	if (how == LOCK_SLEPT && depth)
		return "an interrupt";
	if ((how == LOCK_SLEPT || c->key == (u64)lock_interrupts.name) && (arch_irqs_disabled() || depth))
		return "a place with interrupts off";
	return how == LOCK_SLEPT && keeps_cpu() ? "a place that keeps its CPU" : NULL;
}

/* May anything be waited for here? */
static bool check_context(const struct lock_class *c, enum lock_how how, u64 rbp)
{
	const char *where = forbidden(c, how);

	if (where)
		report_context(c, how, where, rbp);
	return !where;
}

void rules_wait(const void *lock, struct lock_class *c, enum lock_how how, u64 rbp)
{
	struct trace here;

	if (!check_context(c, how, rbp))
		return;
	trace_take(&here, rbp);
	for (u64 i = 0; i < held_count(); i++) {
		const struct held *h = held_at(i);

		if (!h || h->how == LOCK_SECTION)
			continue;
		if (h->lock == lock || (h->class == c && how != LOCK_LOCAL))
			report_recursion(c, h, rbp);
		else if (how != LOCK_LOCAL)
			check_edge(h, c, &here, rbp);
	}
	if (how == LOCK_WAITED && arch_irqs_disabled())
		use(c, WAITED_IRQS_OFF, rbp);
	if (c->key == (u64)lock_interrupts.name)
		use(c, NEEDS_IRQS, rbp);
}

/* In an NMI, or a breakpoint's handler, locks are tried, and interrupts are off. */
void rules_taken(struct lock_class *c, enum lock_how how, u64 rbp)
{
	u64 depth = this_cpu_read64(context_depth);

	if (how == LOCK_WAITED && depth && depth < CTX_DEPTH_NMI)
		use(c, USED_IN_IRQ, rbp);
	if ((how == LOCK_WAITED || how == LOCK_TRIED) && !arch_irqs_disabled())
		use(c, HELD_IRQS_ON, rbp);
}
