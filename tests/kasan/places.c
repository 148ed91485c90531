/*
 * places.c - bad accesses to what is no heap: variables on the stack and global ones;
 * and by string functions.
 */
#include "lib/string.h"
#include "mm/internal.h"
#include "tests/kasan/bad.h"
#include "tests/test.h"

/* ---- the stack ---- */

/* Not known to the compiler. */
static void *hide(void *p)
{
	__asm__ volatile("" : "+r"(p));
	return p;
}

static __noinline void on_stack(void *at)
{
	char first[16], second[13];
	char *p = hide(second);

	memset(hide(first), 1, sizeof(first));
	memset(p, 2, sizeof(second));
	read_1(p + (s64)at);
	EXPECT(!memcmp(hide(first), "\1\1", 2) && !memcmp(p, "\2\2", 2));
}

TEST(kasan, stack, "an access around a variable on the stack is told, with its name and function, in every context")
{
	reports_begin();
	expect_access(on_stack, (void *)13, "stack out of bounds, 0 bytes behind second");
	expect_told("(13 bytes) of on_stack+");
	expect_access(on_stack, (void *)15, "stack out of bounds, 2 bytes behind second");
	expect_access(on_stack, (void *)-1, "stack out of bounds");
	expect_reports_here(on_stack, (void *)12, 0, "");
}

static __noinline void behind_scope(void *unused)
{
	char *p;

	(void)unused;
	{
		char inner[24];

		p = hide(inner);
		memset(p, 3, sizeof(inner));
	}
	/* cppcheck-suppress invalidLifetime */
	read_1(p + 5);
}

/* So large that the compiler calls for its shadow. */
static __noinline void behind_large_scope(void *unused)
{
	char *p;

	(void)unused;
	{
		char large[1000];

		p = hide(large);
		memset(p, 3, sizeof(large));
	}
	/* cppcheck-suppress invalidLifetime */
	read_1(p + 999);
}

TEST(kasan, scope, "so is the use of a variable whose block has ended")
{
	reports_begin();
	expect_access(behind_scope, NULL, "use after scope, 5 bytes into inner");
	expect_access(behind_large_scope, NULL, "use after scope, 999 bytes into large");
}

/* What a report, or a nested context, leaves of frames must not be taken for redzones. */
TEST(kasan, stack_clean, "a stack that has been used in every context is free of redzones behind its user")
{
	static const char zeros[512];

	reports_begin();
	for (unsigned int i = 0; i < 100; i++) {
		char here[512] = { 0 };

		run_in((enum context)(i % NR_CONTEXT), i % num_online_cpus(), on_stack, (void *)5);
		EXPECT(!memcmp(hide(here), zeros, sizeof(here)));
	}
}

/* ---- global variables ---- */

static char thirteen[13];
static u64 one_word;

TEST(kasan, global, "an access behind a global variable is told, with its name, in every context")
{
	char *p = hide(thirteen);

	reports_begin();
	expect_access(write_1, p + 13, "global out of bounds, 0 bytes behind the variable thirteen of 13 bytes");
	expect_access(read_8, (char *)hide(&one_word) + 8, "behind the variable one_word of 8 bytes");
	expect_reports_here(write_1, p + 12, 0, "");
}

/* ---- string functions ---- */

static char *string; /* 30 bytes of 32 */

static void set_it(void *n)
{
	memset(string, 'x', (size_t)n);
}

static void copy_from(void *n)
{
	char buf[64];

	memcpy(hide(buf), string, (size_t)n);
}

static void copy_to(void *n)
{
	static const char buf[64];

	memcpy(string, buf, (size_t)n);
}

static void move_it(void *n)
{
	memmove(string + 1, string, (size_t)n);
}

static void compare(void *n)
{
	static const char x[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

	EXPECT(memcmp(string, x, (size_t)n) || (size_t)n <= 30);
}

static void length(void *unused)
{
	(void)unused;
	EXPECT(strlen(string) >= 30);
}

TEST(kasan, strings, "the kernel's own string functions are checked, in every context")
{
	reports_begin();
	string = kmalloc(30, GFP_KERNEL);
	REQUIRE(string != NULL);
	expect_access(set_it, (void *)31, "out of bounds, 0 bytes behind the object of 30 bytes");
	expect_access(copy_from, (void *)31, "out of bounds, 0 bytes behind the object of 30 bytes");
	expect_access(copy_to, (void *)40, "out of bounds, 0 bytes behind the object of 30 bytes");
	expect_access(move_it, (void *)30, "out of bounds, 0 bytes behind the object of 30 bytes");
	expect_reports_here(set_it, (void *)30, 0, "");
	expect_reports_here(copy_from, (void *)30, 0, "");
	expect_reports_here(move_it, (void *)29, 0, "");
	set_it((void *)30);
	expect_access(compare, (void *)31, "0 bytes behind the object of 30 bytes");
	expect_access(length, NULL, "0 bytes behind the object of 30 bytes");
	kfree(string);
}
