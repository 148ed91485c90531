/*
 * value.c - values in reports of undefined behaviour, as their types are. Constant data
 * and the caller's buffer: any context.
 */
#include "kernel/ubsan/ubsan.h"
#include "kernel/printk.h"

u32 ub_bits(const struct ub_type *t)
{
	return t->kind == UB_INTEGER ? 1u << (t->info >> 1) : 64;
}

static bool is_signed(const struct ub_type *t)
{
	return t->kind == UB_INTEGER && t->info & 1;
}

static s64 extended(const struct ub_type *t, u64 v)
{
	u32 unused = 64 - ub_bits(t);

	return (s64)(v << unused) >> unused;
}

bool ub_is_negative(const struct ub_type *t, u64 v)
{
	return is_signed(t) && ub_bits(t) <= 64 && extended(t, v) < 0;
}

void ub_value(char *buf, size_t size, const struct ub_type *t, u64 v)
{
	const u64 *wide = (const u64 *)v; /* what does not fit is passed by address */

	if (ub_bits(t) > 64)
		snprintf(buf, size, "0x%lx%016lx", wide[1], wide[0]);
	else if (is_signed(t))
		snprintf(buf, size, "%ld", extended(t, v));
	else
		snprintf(buf, size, "%lu", v);
}
