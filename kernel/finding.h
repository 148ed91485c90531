/*
 * finding.h - what the checkers of a build find: lock order, undefined behaviour,
 * data races. Each finding is counted, told line by line, and kept for tests to read;
 * with panic_on_finding=1 it is a panic.
 *
 * In a build without a checker none of this is code. Contexts: any, where not said
 * otherwise; nothing here waits, allocates or takes a lock.
 */
#ifndef KERNEL_FINDING_H
#define KERNEL_FINDING_H

#include <anyctx/config.h>
#include <anyctx/types.h>

#define CONFIG_FINDING (CONFIG_LOCKDEP || CONFIG_UBSAN || CONFIG_KCSAN)

/* One that is being told: on its teller's stack. */
struct finding {
	bool printed, kept;
};

/* The first line, counted; then further ones; then the end. */
void finding_begin(struct finding *f, const char *fmt, ...) __printf(2, 3);
void finding_line(struct finding *f, const char *fmt, ...) __printf(2, 3);
/* A line for each return address, with its function. */
void finding_trace(struct finding *f, const u64 *at, unsigned int n);
void finding_end(struct finding *f);
/* One that has been told before: it is counted. */
void finding_repeat(void);

u64 finding_count(void);
u64 finding_unexpected(void);
/* Is the newest one still being told, so that its text is not all there? */
bool finding_under_way(void);
/* All lines of the newest one that was told while no other was. At rest. */
const char *finding_text(void);
/* The case that runs is to cause so many: they are not printed. Thread context. */
void finding_quiet(bool quiet);
bool finding_is_quiet(void);

/* How many since boot; and how many of them while none was called for. 0 in a build
 * without a checker. */
static inline u64 findings(void)
{
	return CONFIG_FINDING ? finding_count() : 0;
}

static inline u64 findings_unexpected(void)
{
	return CONFIG_FINDING ? finding_unexpected() : 0;
}

#endif
