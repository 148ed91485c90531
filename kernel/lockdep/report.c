/*
 * report.c - what the lock checker says: what is wrong, where, and what was seen before
 * that it is wrong with, each place with its CPU, context and backtrace.
 *
 * While a CPU tells one, nothing is watched on it. Where a table is full, the checker is
 * off from then on, and the report of that makes the run fail.
 */
#include "internal.h"
#include <arch/cpu.h>
#include "kernel/finding.h"
#include "kernel/panic.h"
#include "kernel/printk.h"

#define NAME 96

static bool off; /* set once; by tests once more */

bool report_possible(void)
{
	return !this_cpu_read64(held_cpu.quiet) && !READ_ONCE(off);
}

static void open(struct finding *f, const char *kind, const char *what)
{
	this_cpu_add64(held_cpu.quiet, 1);
	finding_begin(f, "lockdep: %s: CPU %u in %s %s", kind, smp_processor_id(),
		      context_name(current_context()), what);
}

static void close(struct finding *f)
{
	this_cpu_add64(held_cpu.quiet, -1);
	finding_end(f);
}

static void tell_trace(struct finding *f, const struct trace *t)
{
	finding_line(f, "   on CPU %u in %s:", t->cpu, context_name((enum context)t->ctx));
	finding_trace(f, t->at, t->n);
}

static void tell_here(struct finding *f, u64 rbp)
{
	struct trace t;

	trace_take(&t, rbp);
	finding_line(f, "  here:");
	tell_trace(f, &t);
}

static void tell_held(struct finding *f, const struct held *h)
{
	char name[NAME];

	class_name(name, sizeof(name), h->class);
	finding_line(f, "  it holds %s (%lx), taken", name, (u64)h->lock);
	tell_trace(f, &h->at);
}

static void tell_all_held(struct finding *f)
{
	for (u64 i = held_count(); i--;)
		if (held_at(i))
			tell_held(f, held_at(i));
}

static void tell_edge(struct finding *f, u32 from, u32 to)
{
	const struct edge *e = graph_edge(from, to);
	char a[NAME], b[NAME];

	class_name(a, sizeof(a), &lock_classes[from]);
	class_name(b, sizeof(b), &lock_classes[to]);
	finding_line(f, "  before: %s was waited for while %s was held", b, a);
	if (!e)
		return;
	finding_line(f, "  %s had been taken", a);
	tell_trace(f, &e->taken);
	finding_line(f, "  %s was waited for", b);
	tell_trace(f, &e->waited);
}

/* The way that a search went, from its start to `at`; the edges of one that went back
 * lead the other way. */
static void tell_way(struct finding *f, const struct search *s, u32 at, bool back)
{
	for (; s->parent[at] != at; at = s->parent[at])
		if (back)
			tell_edge(f, at, s->parent[at]);
		else
			tell_edge(f, s->parent[at], at);
}

void report_full(const char *table)
{
	struct finding f;

	if (__atomic_exchange_n(&off, true, __ATOMIC_SEQ_CST))
		return;
	open(&f, "off", "has no more room for");
	finding_line(&f, "  %s", table);
	close(&f);
}

void report_on_again(void)
{
	__atomic_store_n(&off, false, __ATOMIC_SEQ_CST);
}

void report_context(const struct lock_class *c, enum lock_how how, const char *where, u64 rbp)
{
	char name[NAME], what[2 * NAME + 40];
	struct finding f;

	class_name(name, sizeof(name), c);
	snprintf(what, sizeof(what), "waits for %s inside %s, where %s", name, where,
		 how == LOCK_SLEPT ? "nobody may sleep" : "it may only be tried");
	open(&f, "context", what);
	tell_here(&f, rbp);
	tell_all_held(&f);
	close(&f);
}

void report_recursion(const struct lock_class *c, const struct held *h, u64 rbp)
{
	char name[NAME], what[NAME + 60];
	struct finding f;

	class_name(name, sizeof(name), c);
	snprintf(what, sizeof(what), "waits for %s, and holds one of that class", name);
	open(&f, "recursion", what);
	tell_here(&f, rbp);
	tell_held(&f, h);
	close(&f);
}

void report_order(const struct held *h, const struct lock_class *to, const struct search *s, u64 rbp)
{
	char a[NAME], b[NAME], what[2 * NAME + 80];
	struct finding f;

	class_name(a, sizeof(a), h->class);
	class_name(b, sizeof(b), to);
	snprintf(what, sizeof(what), "waits for %s and holds %s; before it was the other way round", b, a);
	open(&f, "order", what);
	tell_here(&f, rbp);
	tell_held(&f, h);
	tell_way(&f, s, class_index(h->class), false);
	close(&f);
}

static const char *const usage_text[NR_USAGE] = {
	[USED_IN_IRQ] = "is waited for in interrupts",
	[HELD_IRQS_ON] = "is held with interrupts on",
	[WAITED_IRQS_OFF] = "is waited for with interrupts off",
	[NEEDS_IRQS] = "are waited for",
};

static void tell_usage(struct finding *f, u32 i, enum usage u)
{
	const struct lock_class *c = &lock_classes[i];
	char name[NAME];

	class_name(name, sizeof(name), c);
	finding_line(f, "  %s %s", name, usage_text[u]);
	if (__atomic_load_n(&c->told, __ATOMIC_ACQUIRE) >> u & 1)
		tell_trace(f, &c->how[u]);
}

void report_usage(enum usage a, enum usage b, int first, int last, u32 from, u32 to, const struct search *back,
		  const struct search *on, u64 rbp)
{
	char x[NAME], y[NAME], what[2 * NAME + 100];
	struct finding f;

	class_name(x, sizeof(x), &lock_classes[first]);
	class_name(y, sizeof(y), &lock_classes[last]);
	snprintf(what, sizeof(what), "sees that %s %s, and %s %s", x, usage_text[a], y, usage_text[b]);
	open(&f, "interrupts", what);
	tell_here(&f, rbp);
	tell_usage(&f, (u32)first, a);
	tell_usage(&f, (u32)last, b);
	tell_way(&f, back, (u32)first, true);
	if (from != to)
		tell_edge(&f, from, to);
	tell_way(&f, on, (u32)last, false);
	close(&f);
}

void report_not_held(const void *lock, u64 rbp)
{
	char what[64];
	struct finding f;

	snprintf(what, sizeof(what), "gives back 0x%lx, which it does not hold", (u64)lock);
	open(&f, "not held", what);
	tell_here(&f, rbp);
	tell_all_held(&f);
	close(&f);
}

void report_still_held(const char *what, u64 mark, u64 rbp)
{
	struct finding f;
	char text[80];

	snprintf(text, sizeof(text), "ends %s and still holds what that took", what);
	open(&f, "still held", text);
	tell_here(&f, rbp);
	for (u64 i = held_count(); i-- > mark;)
		if (held_at(i)) {
			tell_held(&f, held_at(i));
			held_drop(held_at(i)->lock);
		}
	close(&f);
}
