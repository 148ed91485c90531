/*
 * report.c - what the allocator says about a bad call.
 *
 * Policy: a bad free or a bad argument is reported with the call, the pointer,
 * the CPU and the context, counted, and ignored: the call has no effect. With
 * panic_on_bad_free=1 it is a panic. Want of memory is no bad call: it is counted
 * elsewhere, and never comes here. mm_report never touches what the pointer
 * points to, takes no lock and may be called in any context.
 */
#include "kernel/cmdline.h"
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/mm.h"

static s64 panic_on_bad_free;
KPARAM_INT(panic_on_bad_free, "panic_on_bad_free", 0, 1, "1: any bad call is a panic; 0: reported and ignored");

#define REPORTS_PRINTED 500

static u64 reports, printed; /* printed: those of `reports` that came while not quiet */
static bool quiet;
#define LINE 200

/* The newest, for who looks when nothing is under way. */
static char last[LINE];

void mm_report(const char *call, const void *p, const char *fmt, ...)
{
	u64 n;
	char what[128], line[LINE];
	va_list ap;

	__atomic_add_fetch(&reports, 1, __ATOMIC_SEQ_CST);
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	snprintf(line, LINE, "%s(%lx) on CPU %u in %s: %s", call, (u64)p,
		 smp_processor_id(), context_name(current_context()), what);
	memcpy(last, line, LINE);
	if (panic_on_bad_free && !quiet)
		panic("mm: bad call: %s", line);
	if (quiet)
		return;
	n = __atomic_add_fetch(&printed, 1, __ATOMIC_RELAXED);
	if (n > REPORTS_PRINTED)
		return;
	printk("mm: bad call: %s\n", line);
	if (n == REPORTS_PRINTED)
		printk("mm: further reports are counted, not printed\n");
}

bool mm_report_printed(void)
{
	return !quiet && READ_ONCE(printed) <= REPORTS_PRINTED;
}

void mm_report_more(const char *fmt, ...)
{
	char line[LINE];
	va_list ap;

	if (!mm_report_printed())
		return;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	printk("mm:   %s\n", line);
}

bool mm_report_wanted(void)
{
	return !quiet && READ_ONCE(printed) < REPORTS_PRINTED;
}

u64 mm_reports(void)
{
	return __atomic_load_n(&reports, __ATOMIC_SEQ_CST);
}

void mm_reports_quiet(bool q)
{
	quiet = q;
}

const char *mm_last_report(void)
{
	return last;
}
