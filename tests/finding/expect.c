/*
 * expect.c - findings that are expected (expect.h).
 */
#include "tests/finding/expect.h"
#include <arch/cpu.h>
#include <arch/time.h>
#include "kernel/printk.h"
#include "lib/string.h"

#define WAIT_NS 5000000000UL

static u64 at_start, expected;

void findings_begin(void)
{
	at_start = findings();
	expected = 0;
	test_expect_findings(0);
}

void findings_seen(void)
{
	expected = findings() - at_start;
	test_expect_findings(expected);
}

bool finding_says(const char *word)
{
	size_t n = strlen(word);

	for (const char *text = finding_text(); *text; text++)
		if (!strncmp(text, word, n))
			return true;
	return false;
}

/* What is found at the end of an interrupt comes after its function has been seen to run. */
static void wait_for(u64 n)
{
	u64 end = arch_ns() + WAIT_NS;

	while ((findings() - at_start < n || finding_under_way()) && arch_ns() < end)
		cpu_relax();
}

void expect_findings(u64 n, const char *const *words)
{
	expected += n;
	test_expect_findings(expected);
	wait_for(expected);
	if (findings() - at_start != expected)
		test_fail(__FILE__, __LINE__, "%lu findings, expected %lu; the last: %s", findings() - at_start,
			  expected, finding_text());
	for (; n && *words; words++)
		if (!finding_says(*words))
			test_fail(__FILE__, __LINE__, "no '%s' in: %s", *words, finding_text());
	findings_seen(); /* one failure is enough */
}

void expect_findings_in(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg, u64 n,
			const char *const *words)
{
	char where[48];

	run_in(ctx, cpu, fn, arg);
	expect_findings(n, words);
	snprintf(where, sizeof(where), "CPU %u in %s", cpu, context_name(context_of_place(ctx)));
	if (n && !finding_says(where))
		test_fail(__FILE__, __LINE__, "no '%s' in: %s", where, finding_text());
}
