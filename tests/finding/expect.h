/*
 * expect.h - do something that the checker of this build is to find, in a chosen
 * context, and look at what it says. CPU 0, thread context.
 */
#ifndef TESTS_FINDING_EXPECT_H
#define TESTS_FINDING_EXPECT_H

#include "kernel/finding.h"
#include "kernel/run_in.h"
#include "tests/test.h"

/* First thing in a case that uses this: it counts the findings for the runner. */
void findings_begin(void);
/* So many more have come, some time soon; the text of the newest has all the words, which
 * end with a NULL. */
void expect_findings(u64 n, const char *const *words);
/* fn(arg) in that context of that CPU is n findings; the newest says where, and the words. */
void expect_findings_in(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg, u64 n,
			const char *const *words);
/* From now on no case is told of those that have come: they were looked at otherwise. */
void findings_seen(void);
bool finding_says(const char *word);

#endif
