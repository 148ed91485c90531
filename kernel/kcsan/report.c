/*
 * report.c - a race: both accesses, each with CPU, context and backtrace.
 *
 * A pair of places is printed once and counted each time; `pairs` holds which were,
 * each set once by a store (two at the same instant are printed twice). While a CPU tells
 * one, its accesses are not looked at.
 */
#include <anyctx/preempt.h>
#include <arch/debug.h>
#include "kernel/finding.h"
#include "kernel/kcsan/internal.h"
#include "kernel/printk.h"

#define NR_PAIRS 256

static u64 pairs[NR_PAIRS];

void access_take(struct access *a, const volatile void *p, u64 size, u32 how, u64 rbp)
{
	a->addr = (u64)p;
	a->size = size;
	a->how = how;
	a->cpu = (u16)smp_processor_id();
	a->ctx = current_context();
	a->n = (u16)arch_backtrace(0, rbp, a->at, ACCESS_FRAMES);
}

/* The place itself is the second address: the first is in the compiler's function. */
static u64 place(const struct access *a)
{
	return a->at[a->n > 1 ? 1 : 0];
}

static bool first_time(u64 a, u64 b)
{
	u64 key = a < b ? a * 31 + b : b * 31 + a, *slot = &pairs[(key * 0x9e3779b97f4a7c15UL) >> 56];

	if (__atomic_load_n(slot, __ATOMIC_RELAXED) == key)
		return false;
	__atomic_store_n(slot, key, __ATOMIC_RELAXED);
	return true;
}

static void describe(char *buf, size_t size, const struct access *a)
{
	snprintf(buf, size, "%s%s of %lu at %lx", a->how & ACCESS_MARKED ? "marked " : "",
		 a->how & ACCESS_WRITE ? "write" : "read", a->size, a->addr);
}

static void tell_trace(struct finding *f, const struct access *a)
{
	char text[80];

	describe(text, sizeof(text), a);
	finding_line(f, "  %s on CPU %u in %s:", text, a->cpu, context_name((enum context)a->ctx));
	finding_trace(f, a->at, a->n);
}

static void tell(const struct access *mine, const struct access *other, const char *with)
{
	struct finding f;
	char text[80];

	preempt_disable(); /* `off` is this CPU's */
	this_cpu_add64(kcsan_cpu.off, 1);
	if (!finding_is_quiet() && !first_time(place(mine), other ? place(other) : 0)) {
		finding_repeat();
	} else {
		describe(text, sizeof(text), mine);
		finding_begin(&f, "kcsan: race: CPU %u in %s: %s and %s", mine->cpu,
			      context_name((enum context)mine->ctx), text, with);
		tell_trace(&f, mine);
		if (other)
			tell_trace(&f, other);
		finding_end(&f);
	}
	this_cpu_add64(kcsan_cpu.off, -1);
	preempt_enable();
}

void report_race(const struct access *mine, const struct access *other)
{
	char with[100], text[80];

	describe(text, sizeof(text), other);
	snprintf(with, sizeof(with), "CPU %u in %s: %s", other->cpu, context_name((enum context)other->ctx), text);
	tell(mine, other, with);
}

void report_change(const struct access *mine, u64 before, u64 after)
{
	char with[100];

	snprintf(with, sizeof(with), "a write that is not seen: %lx became %lx", before, after);
	tell(mine, NULL, with);
}
