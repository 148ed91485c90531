/*
 * run.c - runs the benchmark cases, and prints what they measured.
 *
 * Each case fills one table, in static memory, so that nothing here allocates. It is
 * printed when the case is over: aligned for people, then a line for each figure,
 * "@ case|row|column|value", which tools/bench.py reads. Nothing is printed unless
 * the clock counts instructions exactly, before the first case and after each.
 *
 * CPU 0, thread context.
 */
#include "bench/bench.h"
#include "bench/loop.h"
#include "kernel/hooks.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "lib/pattern.h"
#include "lib/string.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

extern const struct bench_case __start_benchcases[], __stop_benchcases[];

#define MAX_CASES 128
#define MAX_ROWS 96
#define MAX_COLUMNS 20
#define NO_FIGURE (~0UL)

static struct {
	unsigned int nr_rows, nr_columns;
	char row[MAX_ROWS][BENCH_NAME];
	char column[MAX_COLUMNS][16];
	u64 figure[MAX_ROWS][MAX_COLUMNS];
} table;
static const char *failed_why;

static const struct bench_case *cases[MAX_CASES];
static unsigned int nr_cases;

/* ---- what cases call ---- */

static unsigned int find_row(const char *name)
{
	unsigned int i = 0;

	while (i < table.nr_rows && strcmp(table.row[i], name))
		i++;
	BUG_ON(i == MAX_ROWS);
	if (i < table.nr_rows)
		return i;
	snprintf(table.row[i], sizeof(table.row[i]), "%s", name);
	for (unsigned int c = 0; c < MAX_COLUMNS; c++)
		table.figure[i][c] = NO_FIGURE;
	return table.nr_rows++;
}

static unsigned int find_column(const char *name)
{
	unsigned int i = 0;

	while (i < table.nr_columns && strcmp(table.column[i], name))
		i++;
	BUG_ON(i == MAX_COLUMNS);
	if (i < table.nr_columns)
		return i;
	snprintf(table.column[i], sizeof(table.column[i]), "%s", name);
	return table.nr_columns++;
}

void bench_put(const char *row, const char *column, u64 hundredths)
{
	table.figure[find_row(row)][find_column(column)] = hundredths;
}

void bench_put_size(const char *row, size_t size, u64 hundredths)
{
	char column[16];

	if (size >= 1UL << 20)
		snprintf(column, sizeof(column), "%zuM", size >> 20);
	else if (size > KMALLOC_MAX_CACHE_SIZE)
		snprintf(column, sizeof(column), "%zuK", size >> 10);
	else
		snprintf(column, sizeof(column), "%zu", size);
	bench_put(row, column, hundredths);
}

void bench_note(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("  # %s\n", text);
}

void bench_fail(const char *why)
{
	failed_why = why;
}

/* ---- printing ---- */

/* At most seven characters. */
static void print_figure(u64 h)
{
	if (h == NO_FIGURE)
		printk(" %7s", "-");
	else if (h < 10000 * BENCH_ONE)
		printk(" %5lu.%lu", (h + 5) / BENCH_ONE, (h + 5) % BENCH_ONE / 10);
	else
		printk(" %7lu", h / BENCH_ONE);
}

static int widest_row(void)
{
	size_t width = 0;

	for (unsigned int i = 0; i < table.nr_rows; i++)
		if (strlen(table.row[i]) > width)
			width = strlen(table.row[i]);
	return (int)width;
}

static void print_table(const struct bench_case *c)
{
	int width = widest_row();

	printk("  %-*s", width, "");
	for (unsigned int k = 0; k < table.nr_columns; k++)
		printk(" %7s", table.column[k]);
	printk("\n");
	for (unsigned int i = 0; i < table.nr_rows; i++) {
		printk("  %-*s", width, table.row[i]);
		for (unsigned int k = 0; k < table.nr_columns; k++)
			print_figure(table.figure[i][k]);
		printk("\n");
	}
	for (unsigned int i = 0; i < table.nr_rows; i++)
		for (unsigned int k = 0; k < table.nr_columns; k++)
			if (table.figure[i][k] != NO_FIGURE)
				printk("@ %s.%s|%s|%s|%lu.%02lu\n", c->suite, c->name, table.row[i],
				       table.column[k], table.figure[i][k] / BENCH_ONE,
				       table.figure[i][k] % BENCH_ONE);
}

/* ---- which cases ---- */

static bool matches(const char *pattern, const struct bench_case *c)
{
	char full[128];

	snprintf(full, sizeof(full), "%s.%s", c->suite, c->name);
	return pattern_matches(pattern, full);
}

/* ---- running ---- */

/* Returns true unless it failed. */
static bool run_case(const struct bench_case *c)
{
	table.nr_rows = table.nr_columns = 0;
	failed_why = NULL;
	printk("\n%s.%s: %s\n", c->suite, c->name, c->what);
	mm_quiesce();
	c->run();
	mm_quiesce();
	if (mm_check())
		bench_fail("counters differ from the walk");
	if (!bench_clock_is_exact())
		bench_fail("the clock does not count instructions");
	if (failed_why) {
		printk("error: %s.%s: %s; no figures\n", c->suite, c->name, failed_why);
		return false;
	}
	print_table(c);
	return true;
}

/* Sorted by suite; within one in the order of insertion. */
static void insert_case(const struct bench_case *c)
{
	unsigned int i = nr_cases++;

	for (; i && strcmp(cases[i - 1]->suite, c->suite) > 0; i--)
		cases[i] = cases[i - 1];
	cases[i] = c;
}

/* From the end: the compiler puts the variables of a file out backwards. */
static void select_cases(const char *pattern)
{
	nr_cases = 0;
	for (const struct bench_case *c = __stop_benchcases; c-- > __start_benchcases;) {
		if (!matches(pattern, c))
			continue;
		BUG_ON(nr_cases == MAX_CASES);
		insert_case(c);
	}
	if (!nr_cases)
		printk("error: no benchmark matches '%s'\n", pattern);
}

/* Returns how many failed. */
static unsigned int run_selected(void)
{
	unsigned int failed = 0;

	for (unsigned int i = 0; i < nr_cases; i++)
		failed += !run_case(cases[i]);
	return nr_cases ? failed : 1;
}

static void print_machine(void)
{
	printk("@ machine|cpus|%u\n@ machine|mib|%lu\n", num_online_cpus(),
	       nr_managed_pages() >> (20 - PAGE_SHIFT));
	printk("Instructions an operation; the empty loop, measured alike, is subtracted.\n");
}

unsigned int run_benches(const char *pattern)
{
	unsigned int failed = 1;

	watchdog_pause(true);
	tick_set_hz(0);
	if (bench_clock_is_exact()) {
		print_machine();
		select_cases(pattern);
		failed = run_selected();
	} else {
		printk("error: the clock does not count instructions (QEMU: -icount shift=0,sleep=off)\n");
	}
	tick_set_hz(tick_default_hz());
	watchdog_pause(false);
	printk("# anyctx: benchmarks %s\n", failed ? "FAIL" : "PASS");
	return failed;
}
