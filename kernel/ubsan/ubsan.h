/*
 * ubsan.h - what the compiler hands to the functions that it calls where behaviour is
 * undefined (-fsanitize=undefined; the layouts are those that GCC and clang share),
 * and how they tell it.
 */
#ifndef KERNEL_UBSAN_UBSAN_H
#define KERNEL_UBSAN_UBSAN_H

#include <anyctx/types.h>

struct ub_location {
	const char *file;
	u32 line, column; /* the top bit of column: reported before */
};

enum ub_type_kind { UB_INTEGER = 0, UB_FLOAT = 1, UB_OTHER = 0xffff };
struct ub_type {
	u16 kind;
	u16 info;    /* of an integer: bit 0: signed; the rest: log2 of its bits */
	char name[]; /* in quotes */
};

struct ub_overflow {
	struct ub_location at;
	const struct ub_type *type;
};
struct ub_shift {
	struct ub_location at;
	const struct ub_type *left, *right;
};
struct ub_bounds {
	struct ub_location at;
	const struct ub_type *array, *index;
};
struct ub_access {
	struct ub_location at;
	const struct ub_type *type;
	u8 log2_align, what; /* 0 load, 1 store, 2 reference, 3 member access, ... */
};
struct ub_place {
	struct ub_location at;
};
struct ub_nonnull {
	struct ub_location at, attribute;
	s32 argument;
};
struct ub_builtin {
	struct ub_location at;
	u8 what; /* 0: ctz, 1: clz */
};

/* "-5", or "0x..." of more than 64 bits: a value as the compiler passes it. */
void ub_value(char *buf, size_t size, const struct ub_type *t, u64 v);
bool ub_is_negative(const struct ub_type *t, u64 v);
u32 ub_bits(const struct ub_type *t);

/* Behind a division by zero, or where code must not come, there is nothing to go on with:
 * this is called, which panics, but for a test that gets out by it. */
extern void (*ub_nowhere)(void);

#endif
