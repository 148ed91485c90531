/*
 * test.h - what a test file includes. A case is
 *
 *	TEST(pages, order0_round_trip, "a page comes back where it was taken")
 *	{
 *		struct page *p = alloc_pages(GFP_KERNEL, 0);
 *		EXPECT(p != NULL);
 *		...
 *	}
 *
 * in any file of tests/: the build finds the file, a linker section the case.
 * Cases run on CPU 0 in thread context, the others idle. After each case the
 * runner flushes what is cached and deferred, walks all structures, and fails
 * the case if a counter differs from the walk or free pages differ from before.
 */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <anyctx/gfp.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>

struct test_case {
	const char *suite, *name, *proves;
	void (*run)(void);
};

#define TEST(tsuite, tname, tproves) \
	static void test_##tsuite##_##tname(void); \
	static const struct test_case testcase_##tsuite##_##tname \
		__section("testcases") __used __aligned(8) = { \
		.suite = #tsuite, .name = #tname, .proves = tproves, \
		.run = test_##tsuite##_##tname }; \
	static void test_##tsuite##_##tname(void)

/* Record a failure and go on; EXPECT from any context and CPU. */
void test_fail(const char *file, int line, const char *fmt, ...) __printf(3, 4);
#define EXPECT(c) do { \
	if (unlikely(!(c))) \
		test_fail(__FILE__, __LINE__, "expected: %s", #c); \
} while (0)
#define EXPECT_EQ(a, b) do { \
	u64 __a = (u64)(a), __b = (u64)(b); \
	if (unlikely(__a != __b)) \
		test_fail(__FILE__, __LINE__, "%s = %ld, expected %s = %ld", \
			  #a, (long)__a, #b, (long)__b); \
} while (0)
/* End the case, counted as failed, if c does not hold (thread context of the case). */
#define REQUIRE(c) do { \
	if (unlikely(!(c))) { \
		test_fail(__FILE__, __LINE__, "required: %s", #c); \
		return; \
	} \
} while (0)

/* A figure or remark of the case that runs, as a KTAP diagnostic line. */
void test_note(const char *fmt, ...) __printf(1, 2);
/* The case does not apply here (why): reported as SKIP; return after it. */
void test_skip(const char *why);

/* The case provokes exactly n reports of bad use (mm_reports); they are not
 * printed. Without it a case that causes one has failed. */
void test_expect_reports(u64 n);

/* The case looks at where a freed object goes: no quarantine keeps it from there. To be
 * called before anything is freed; holds to the end of the case. */
void test_frees_at_once(void);

/* The case provokes exactly n findings of this build's checker (kernel/finding.h); they
 * are not printed. As with reports, without it a case that causes one has failed. */
void test_expect_findings(u64 n);

/* Runs all cases whose "suite.name" matches the pattern (comma-separated, `*`
 * at the end; what matches a word after `-` is left out); prints KTAP; returns how
 * many failed. */
unsigned int run_tests(const char *pattern);

#endif
