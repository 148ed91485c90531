/*
 * bad.c - bad accesses in every context (bad.h).
 */
#include "tests/kasan/bad.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/kasan/kasan.h"
#include "mm/mm.h"
#include "tests/test.h"

static struct {
	void (*fn)(void *);
	void *arg;
	enum context ctx;
	unsigned int cpu;
} one;

static bool has(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; *text; text++)
		if (!strncmp(text, word, n))
			return true;
	return !n;
}

static void make_it(void *unused)
{
	(void)unused;
	run_in(one.ctx, one.cpu, one.fn, one.arg);
}

static void expect_in(enum context ctx, unsigned int cpu, const char *word)
{
	char where[40];

	one.ctx = ctx;
	one.cpu = cpu;
	expect_reports_here(make_it, NULL, 1, word);
	snprintf(where, sizeof(where), " on CPU %u in %s: ", cpu, context_name(context_of_place(ctx)));
	if (!has(mm_last_report(), where))
		test_fail(__FILE__, __LINE__, "report '%s', expected '...%s...'", mm_last_report(), where);
}

void expect_access(void (*fn)(void *), void *arg, const char *word)
{
	one.fn = fn;
	one.arg = arg;
	for (unsigned int ctx = 0; ctx < NR_PLACES; ctx++) {
		expect_in((enum context)ctx, 0, word);
		if (num_online_cpus() > 1)
			expect_in((enum context)ctx, num_online_cpus() - 1, word);
	}
}

void expect_told(const char *fmt, ...)
{
	char word[120];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(word, sizeof(word), fmt, ap);
	va_end(ap);
	if (!has(kasan_last_report(), word))
		test_fail(__FILE__, __LINE__, "report:\n%sexpected in it: '%s'", kasan_last_report(), word);
}

void read_1(void *p)
{
	(void)*(volatile u8 *)p;
}

void read_8(void *p)
{
	(void)*(volatile u64 *)p;
}

void write_1(void *p)
{
	*(volatile u8 *)p = 0x5a;
}

void write_4(void *p)
{
	*(volatile u32 *)p = 0x5a5a5a5a;
}

void write_8(void *p)
{
	*(volatile u64 *)p = 0x5a5a5a5a5a5a5a5a;
}
