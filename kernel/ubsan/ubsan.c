/*
 * ubsan.c - the functions that the compiler calls where behaviour is undefined: each says
 * what is wrong, with the values, and where; then the code goes on.
 *
 * A place is printed once, and counted each time. Undefined behaviour in the telling of
 * a report, on the same CPU, is counted only: `busy` is above 0 then. Any context, any
 * instruction; no lock, no allocation.
 */
#include "kernel/ubsan/ubsan.h"
#include <anyctx/percpu.h>
#include <anyctx/preempt.h>
#include <arch/debug.h>
#include "kernel/context.h"
#include "kernel/finding.h"
#include "kernel/panic.h"
#include "kernel/printk.h"

#define FRAMES 8
#define TEXT 120
#define VALUE 40
#define REPORTED (1u << 31)

/* The compiler's names; it has no header for them. */
void __ubsan_handle_add_overflow(struct ub_overflow *d, u64 a, u64 b);
void __ubsan_handle_sub_overflow(struct ub_overflow *d, u64 a, u64 b);
void __ubsan_handle_mul_overflow(struct ub_overflow *d, u64 a, u64 b);
void __ubsan_handle_negate_overflow(struct ub_overflow *d, u64 v);
void __ubsan_handle_divrem_overflow(struct ub_overflow *d, u64 a, u64 b);
void __ubsan_handle_shift_out_of_bounds(struct ub_shift *d, u64 a, u64 by);
void __ubsan_handle_out_of_bounds(struct ub_bounds *d, u64 index);
void __ubsan_handle_type_mismatch_v1(struct ub_access *d, u64 p);
void __ubsan_handle_pointer_overflow(struct ub_place *d, u64 from, u64 to);
void __ubsan_handle_load_invalid_value(struct ub_overflow *d, u64 v);
void __ubsan_handle_nonnull_arg(struct ub_nonnull *d);
void __ubsan_handle_nonnull_return_v1(struct ub_place *attribute, struct ub_location *at);
void __ubsan_handle_invalid_builtin(struct ub_builtin *d);
void __ubsan_handle_builtin_unreachable(struct ub_place *d);

static DEFINE_PER_CPU(u64, busy);

static void panic_nowhere(void)
{
	panic("undefined behaviour, as told above, with nothing to go on with");
}

void (*ub_nowhere)(void) = panic_nowhere;

/* False: this place was told before, and is only counted. */
static bool first_time(struct ub_location *at)
{
	return !(__atomic_fetch_or(&at->column, REPORTED, __ATOMIC_RELAXED) & REPORTED);
}

/* Called by the handlers: the frame above theirs is the culprit's. */
static __noinline void tell(struct ub_location *at, const char *kind, const char *text)
{
	u64 frames[FRAMES];
	unsigned int n;
	struct finding f;

	if (this_cpu_read64(busy) || (!finding_is_quiet() && !first_time(at))) {
		finding_repeat();
		return;
	}
	preempt_disable(); /* `busy` is this CPU's */
	this_cpu_add64(busy, 1);
	n = arch_backtrace(0, (u64)__builtin_frame_address(0), frames, FRAMES);
	finding_begin(&f, "ubsan: %s: CPU %u in %s: %s", kind, smp_processor_id(),
		      context_name(current_context()), text);
	finding_line(&f, "  at %s:%u:%u", at->file, at->line, at->column & ~REPORTED);
	finding_trace(&f, frames, n);
	this_cpu_add64(busy, -1);
	preempt_enable();
	finding_end(&f);
}

static void tell_binary(struct ub_overflow *d, const char *kind, u64 a, const char *op, u64 b)
{
	char left[VALUE], right[VALUE], text[TEXT];

	ub_value(left, VALUE, d->type, a);
	ub_value(right, VALUE, d->type, b);
	snprintf(text, TEXT, "%s %s %s does not fit %s", left, op, right, d->type->name);
	tell(&d->at, kind, text);
}

void __ubsan_handle_add_overflow(struct ub_overflow *d, u64 a, u64 b)
{
	tell_binary(d, "overflow", a, "+", b);
}

void __ubsan_handle_sub_overflow(struct ub_overflow *d, u64 a, u64 b)
{
	tell_binary(d, "overflow", a, "-", b);
}

void __ubsan_handle_mul_overflow(struct ub_overflow *d, u64 a, u64 b)
{
	tell_binary(d, "overflow", a, "*", b);
}

void __ubsan_handle_negate_overflow(struct ub_overflow *d, u64 v)
{
	tell_binary(d, "overflow", 0, "-", v);
}

/* By zero, or the smallest number by -1: the processor would refuse it. */
void __ubsan_handle_divrem_overflow(struct ub_overflow *d, u64 a, u64 b)
{
	tell_binary(d, "division", a, "/", b);
	ub_nowhere();
}

void __ubsan_handle_shift_out_of_bounds(struct ub_shift *d, u64 a, u64 by)
{
	char left[VALUE], right[VALUE], text[TEXT];

	ub_value(left, VALUE, d->left, a);
	ub_value(right, VALUE, d->right, by);
	snprintf(text, TEXT, "%s of %u bits (%s) shifted by %s%s", left, ub_bits(d->left), d->left->name, right,
		 ub_is_negative(d->left, a) ? ", and it is negative" : "");
	tell(&d->at, "shift", text);
}

void __ubsan_handle_out_of_bounds(struct ub_bounds *d, u64 index)
{
	char value[VALUE], text[TEXT];

	ub_value(value, VALUE, d->index, index);
	snprintf(text, TEXT, "index %s of %s", value, d->array->name);
	tell(&d->at, "bounds", text);
}

void __ubsan_handle_type_mismatch_v1(struct ub_access *d, u64 p)
{
	u64 align = 1UL << d->log2_align;
	char text[TEXT];

	if (p & (align - 1)) {
		snprintf(text, TEXT, "%lx is not aligned to %lu for %s", p, align, d->type->name);
		tell(&d->at, "alignment", text);
	} else {
		snprintf(text, TEXT, p ? "%lx has no room for %s" : "%lx is no address of %s", p, d->type->name);
		tell(&d->at, p ? "object size" : "null", text);
	}
}

void __ubsan_handle_pointer_overflow(struct ub_place *d, u64 from, u64 to)
{
	char text[TEXT];

	snprintf(text, TEXT, "from %lx to %lx", from, to);
	tell(&d->at, "pointer", text);
}

void __ubsan_handle_load_invalid_value(struct ub_overflow *d, u64 v)
{
	char value[VALUE], text[TEXT];

	ub_value(value, VALUE, d->type, v);
	snprintf(text, TEXT, "%s is no value of %s", value, d->type->name);
	tell(&d->at, "value", text);
}

void __ubsan_handle_nonnull_arg(struct ub_nonnull *d)
{
	char text[TEXT];

	snprintf(text, TEXT, "argument %d must not be NULL", d->argument);
	tell(&d->at, "nonnull", text);
}

void __ubsan_handle_nonnull_return_v1(struct ub_place *attribute, struct ub_location *at)
{
	(void)attribute;
	tell(at, "nonnull", "returns NULL and must not");
}

void __ubsan_handle_invalid_builtin(struct ub_builtin *d)
{
	tell(&d->at, "builtin", d->what ? "clz of 0" : "ctz of 0");
}

void __ubsan_handle_builtin_unreachable(struct ub_place *d)
{
	tell(&d->at, "unreachable", "code that must not be reached");
	ub_nowhere();
}
