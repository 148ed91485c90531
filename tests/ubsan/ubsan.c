/*
 * ubsan.c - tests of the reports of undefined behaviour: each kind, in each context on
 * the first and the last CPU, with the values; and that code without any has none.
 *
 * What the compiler could see through comes out of `n` and `p`, which it believes to
 * change at any time.
 */
#include "kernel/ubsan/ubsan.h"
#include "tests/finding/expect.h"

static volatile int n, by;
static volatile long out;
static volatile bool no_bool;
static void *volatile p;
static int array[4];

struct words {
	u64 a[2];
};

static void add(void *unused)
{
	(void)unused;
	n = 0x7fffffff;
	out = n + 1;
}

static void subtract(void *unused)
{
	(void)unused;
	n = -0x7fffffff;
	out = n - 2;
}

static void multiply(void *unused)
{
	(void)unused;
	n = 0x10000;
	out = n * n;
}

static void negate(void *unused)
{
	(void)unused;
	n = -0x7fffffff - 1;
	out = -n;
}

static void shift_far(void *unused)
{
	(void)unused;
	n = 1;
	by = 33;
	out = n << by;
}

static void shift_back(void *unused)
{
	(void)unused;
	n = 5;
	by = -2;
	out = n >> by;
}

static void shift_negative(void *unused)
{
	(void)unused;
	n = -3;
	by = 1;
	out = n << by;
}

static void index_past(void *unused)
{
	(void)unused;
	n = 4;
	out = (long)&array[n + 1]; /* one past the end may be had */
}

static void load_unaligned(void *unused)
{
	static struct words w;

	(void)unused;
	p = (char *)&w + 1;
	out = (long)*(u32 *)p;
}

static void not_bool(void *unused)
{
	static volatile u8 byte;

	(void)unused;
	byte = 3;
	p = (void *)&byte;
	no_bool = *(volatile bool *)p;
}

static void past_the_end_of_all(void *unused)
{
	char *q;
	volatile u64 far = ~0UL - 15;

	(void)unused;
	p = &array[0];
	q = (char *)p + far; /* wraps, with a number that is not small and negative */
	out = (long)q;
	p = (void *)0x1000;
	q = (char *)p - 0x2000;
	out = (long)q;
}

static void ctz_of_zero(void *unused)
{
	(void)unused;
	n = 0;
	out = __builtin_ctz((unsigned int)n);
}

static void clz_of_zero(void *unused)
{
	(void)unused;
	n = 0;
	out = __builtin_clz((unsigned int)n);
}

static __attribute__((nonnull, noipa)) void wants_pointer(const int *q)
{
	out = q == p;
}

static void give_null(void *unused)
{
	(void)unused;
	p = NULL;
	wants_pointer(p);
}

static __attribute__((returns_nonnull, noipa)) void *gives_pointer(void)
{
	return p;
}

static void take_null(void *unused)
{
	(void)unused;
	p = NULL;
	out = gives_pointer() == &array;
}

/* Of the member of nothing only the address is asked for. */
static void member_of_null(void *unused)
{
	(void)unused;
	p = NULL;
	out = (long)&((struct words *)p)->a[0];
}

static void *escape[5];

static void get_out(void)
{
	__builtin_longjmp(escape, 1);
}

static void never(void *unused)
{
	(void)unused;
	n = 1;
	if (__builtin_setjmp(escape))
		return;
	if (n)
		__builtin_unreachable();
}

static void divide_by_zero(void *unused)
{
	(void)unused;
	n = 5;
	by = 0;
	if (!__builtin_setjmp(escape))
		out = n / by;
}

static void divide_smallest(void *unused)
{
	(void)unused;
	n = -0x7fffffff - 1;
	by = -1;
	if (!__builtin_setjmp(escape))
		out = n % by;
}

/* The compiler sees this one by itself, which is not asked for here. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Warray-bounds"
static void too_little(void *unused)
{
	static u64 one, other;
	struct words *w = (struct words *)(n ? &one : &other);

	(void)unused;
	out = (long)w->a[1];
}
#pragma GCC diagnostic pop

static const struct {
	void (*fn)(void *);
	const char *kind, *text;
} kinds[] = {
	{ add, "overflow", "2147483647 + 1 does not fit 'int'" },
	{ subtract, "overflow", "-2147483647 - 2 does not fit 'int'" },
	{ multiply, "overflow", "65536 * 65536 does not fit 'int'" },
	{ negate, "overflow", "0 - -2147483648 does not fit 'int'" },
	{ shift_far, "shift", "1 of 32 bits ('int') shifted by 33" },
	{ shift_back, "shift", "5 of 32 bits ('int') shifted by -2" },
	{ shift_negative, "shift", "and it is negative" },
	{ index_past, "bounds", "index 5 of 'int [4]'" },
	{ load_unaligned, "alignment", "is not aligned to 4 for" },
	{ not_bool, "value", "3 is no value of '_Bool'" },
	{ past_the_end_of_all, "pointer", "from 1000 to fffffffffffff000" },
	{ ctz_of_zero, "builtin", "ctz of 0" },
	{ clz_of_zero, "builtin", "clz of 0" },
	{ give_null, "nonnull", "argument 1 must not be NULL" },
	{ take_null, "nonnull", "returns NULL and must not" },
	{ member_of_null, "null", "0 is no address of 'struct words'" },
	{ divide_by_zero, "division", "5 / 0 does not fit 'int'" },
	{ divide_smallest, "division", "-2147483648 / -1 does not fit 'int'" },
	{ too_little, "object size", "has no room for 'u64'" },
	{ never, "unreachable", "must not be reached" },
};

static void expect_kind(unsigned int i, enum context ctx, unsigned int cpu)
{
	expect_findings_in(ctx, cpu, kinds[i].fn, NULL, 1,
			   (const char *const[]){ "ubsan: ", kinds[i].kind, kinds[i].text, "tests/ubsan/ubsan.c:", NULL });
}

TEST(ubsan, kinds, "each kind of undefined behaviour is reported, with its values, from each context of the first and last CPU")
{
	findings_begin();
	ub_nowhere = get_out;
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++)
		for (unsigned int ctx = 0; ctx < NR_PLACES; ctx++) {
			expect_kind(i, (enum context)ctx, 0);
			if (num_online_cpus() > 1)
				expect_kind(i, (enum context)ctx, num_online_cpus() - 1);
		}
	test_note("%lu kinds", ARRAY_SIZE(kinds));
}
