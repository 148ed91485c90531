/*
 * ktap.c - runs the test cases and reports in KTAP version 1.
 *
 * Cases are found in a linker section, grouped by suite. Around each case the
 * machine is brought to rest, and a case that leaves a counter unlike the walk, a
 * page more or less, or a bad-use report that it did not announce has failed.
 * The watchdog and its NMIs are off meanwhile: cases count NMIs.
 *
 * Failures may be recorded from any context on any CPU: a locked add reserves a
 * record, one store publishes it. They are printed at the end of the case, by
 * CPU 0, which alone runs cases.
 */
#include <anyctx/lockdep.h>
#include <arch/time.h>
#include "kernel/finding.h"
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "lib/pattern.h"
#include "lib/string.h"
#include "mm/kasan/kasan.h"
#include "mm/mm.h"
#include "tests/test.h"

#define MAX_CASES 1024
#define MAX_FAILURES 24

extern const struct test_case __start_testcases[], __stop_testcases[];

struct failure {
	u32 ready, cpu;
	char text[232];
};

/* Of the case that runs. */
static struct failure failures[MAX_FAILURES];
static u32 nr_failures;
static const char *skip_why;
static u64 reports_expected, findings_expected;

static const struct test_case *cases[MAX_CASES];
static unsigned int nr_cases;
static unsigned int passed, failed, skipped;

/* ---- what cases call ---- */

void test_fail(const char *file, int line, const char *fmt, ...)
{
	u32 i = __atomic_fetch_add(&nr_failures, 1, __ATOMIC_RELAXED);
	struct failure *f = &failures[i < MAX_FAILURES ? i : 0];
	va_list ap;
	int n;

	if (i >= MAX_FAILURES)
		return;
	n = snprintf(f->text, sizeof(f->text), "%s:%d: ", file, line);
	va_start(ap, fmt);
	vsnprintf(f->text + n, sizeof(f->text) - (size_t)n, fmt, ap);
	va_end(ap);
	f->cpu = smp_processor_id();
	__atomic_store_n(&f->ready, 1, __ATOMIC_RELEASE);
}

void test_note(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("  # %s\n", text);
}

void test_skip(const char *why)
{
	skip_why = why;
}

void test_expect_reports(u64 n)
{
	reports_expected = n;
	mm_reports_quiet(true);
}

void test_frees_at_once(void)
{
	if (CONFIG_KASAN)
		kasan_quarantine_set(false);
}

void test_expect_findings(u64 n)
{
	findings_expected = n;
	if (CONFIG_FINDING)
		finding_quiet(true);
}

/* ---- which cases ---- */

static bool matches(const char *pattern, const struct test_case *c)
{
	char full[128];

	snprintf(full, sizeof(full), "%s.%s", c->suite, c->name);
	return pattern_matches(pattern, full);
}

/* Sorted by suite; within one in the order of insertion. */
static void insert_case(const struct test_case *c)
{
	unsigned int i = nr_cases++;

	for (; i && strcmp(cases[i - 1]->suite, c->suite) > 0; i--)
		cases[i] = cases[i - 1];
	cases[i] = c;
}

static void select_cases(const char *pattern)
{
	nr_cases = 0;
	/* From the end: the compiler puts the variables of a file out backwards. */
	for (const struct test_case *c = __stop_testcases; c-- > __start_testcases;) {
		if (!matches(pattern, c))
			continue;
		BUG_ON(nr_cases == MAX_CASES);
		insert_case(c);
	}
}

/* The first case of the next suite. */
static unsigned int suite_end(unsigned int first)
{
	unsigned int i = first;

	while (i < nr_cases && !strcmp(cases[i]->suite, cases[first]->suite))
		i++;
	return i;
}

/* ---- one case ---- */

struct before {
	struct mm_stats stats;
	u64 reports, findings;
};

static void look(struct before *b)
{
	mm_quiesce();
	mm_get_stats(&b->stats);
	b->reports = mm_reports();
	b->findings = findings();
}

static void check_findings(u64 n)
{
	if (CONFIG_FINDING && n != findings_expected)
		test_fail("conservation", 0, "%lu findings of the checker, expected %lu; the last: %s", n,
			  findings_expected, finding_text());
}

static void check_conservation(const struct before *b)
{
	struct before now;
	unsigned int differences;

	look(&now);
	differences = mm_check();
	if (differences)
		test_fail("conservation", 0, "%u counters differ from the walk", differences);
	if (now.stats.pages_free != b->stats.pages_free)
		test_fail("conservation", 0, "free pages %lu, before the case %lu", now.stats.pages_free,
			  b->stats.pages_free);
	if (now.stats.spurious_failures != b->stats.spurious_failures)
		test_fail("conservation", 0, "%lu allocations failed while memory was free",
			  now.stats.spurious_failures - b->stats.spurious_failures);
	if (now.reports - b->reports != reports_expected)
		test_fail("conservation", 0, "%lu reports of bad use, expected %lu; the last: %s",
			  now.reports - b->reports, reports_expected, mm_last_report());
	check_findings(now.findings - b->findings);
}

static void case_begin(struct before *b)
{
	for (unsigned int i = 0; i < MAX_FAILURES; i++)
		failures[i].ready = 0;
	nr_failures = 0;
	skip_why = NULL;
	reports_expected = findings_expected = 0;
	look(b);
}

/* The next case starts from the same state whatever this one has left. */
static void case_end(const struct before *b)
{
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
	if (arch_irqs_disabled()) {
		test_fail("case", 0, "interrupts are off at the end");
		arch_irq_enable();
	}
	if (!watchdog_paused()) {
		test_fail("case", 0, "the watchdog is left running");
		watchdog_pause(true);
	}
	if (nmi_source_hz())
		nmi_source_set_hz(0);
	if (tick_hz() != tick_default_hz())
		tick_set_hz(tick_default_hz());
	check_conservation(b);
	mm_reports_quiet(false);
	if (CONFIG_KASAN)
		kasan_quarantine_set(true);
	if (CONFIG_FINDING)
		finding_quiet(false);
}

static void print_failures(void)
{
	u32 n = __atomic_load_n(&nr_failures, __ATOMIC_ACQUIRE);

	for (u32 i = 0; i < n && i < MAX_FAILURES; i++)
		if (__atomic_load_n(&failures[i].ready, __ATOMIC_ACQUIRE))
			printk("  # FAILED on CPU %u: %s\n", failures[i].cpu, failures[i].text);
	if (n > MAX_FAILURES)
		printk("  # and %u more failures\n", n - MAX_FAILURES);
}

/* Returns true unless it failed. */
static bool run_case(const struct test_case *c, unsigned int number)
{
	u64 mark = lock_mark(), start;
	struct before b;

	printk("  # %s: %s\n", c->name, c->proves);
	case_begin(&b);
	start = arch_ns();
	c->run();
	start = arch_ns() - start;
	lock_ends("the case", mark);
	case_end(&b);
	print_failures();
	printk("  # %lu ms\n", start / 1000000);
	if (nr_failures) {
		failed++;
		printk("  not ok %u %s\n", number, c->name);
		return false;
	}
	if (skip_why) {
		skipped++;
		printk("  ok %u %s # SKIP %s\n", number, c->name, skip_why);
		return true;
	}
	passed++;
	printk("  ok %u %s\n", number, c->name);
	return true;
}

static bool run_suite(unsigned int first, unsigned int end)
{
	unsigned int bad = 0;

	printk("  KTAP version 1\n  # Subtest: %s\n  1..%u\n", cases[first]->suite, end - first);
	for (unsigned int i = first; i < end; i++)
		bad += !run_case(cases[i], i - first + 1);
	return !bad;
}

static unsigned int count_suites(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr_cases; i = suite_end(i))
		n++;
	return n;
}

unsigned int run_tests(const char *pattern)
{
	unsigned int number = 0;

	passed = failed = skipped = 0;
	select_cases(pattern);
	if (!nr_cases) {
		printk("error: no test case matches '%s'\n# anyctx: result FAIL\n", pattern);
		return 1;
	}
	watchdog_pause(true);
	printk("KTAP version 1\n1..%u\n", count_suites());
	for (unsigned int i = 0; i < nr_cases; i = suite_end(i)) {
		bool ok = run_suite(i, suite_end(i));

		printk("%s %u %s\n", ok ? "ok" : "not ok", ++number, cases[i]->suite);
	}
	printk("# totals: pass:%u fail:%u skip:%u\n", passed, failed, skipped);
	printk("# anyctx: result %s\n", failed ? "FAIL" : "PASS");
	watchdog_pause(false);
	return failed;
}
