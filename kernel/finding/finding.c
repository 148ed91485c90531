/*
 * finding.c - counts, prints and keeps what the checkers find (kernel/finding.h).
 *
 * Invariant: the kept text belongs to the teller that took `keeper`, by one
 * compare-and-swap from 0, until its finding_end stores 0; it ends with a 0 byte at
 * every instruction. A finding inside the telling of another, of an NMI or of a second
 * CPU, is counted and printed and not kept. Lines of two may mix on the console: each
 * begins with the number of its CPU.
 */
#include "kernel/finding.h"
#include "kernel/cmdline.h"
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"

static s64 panic_on_finding;
KPARAM_INT(panic_on_finding, "panic_on_finding", 0, 1,
	   "1: what a checker finds is a panic; 0: reported, and the run fails at its end");

#define FINDINGS_PRINTED 40
#define LINE 180
#define TEXT 6144

static u64 count, unexpected; /* while not quiet */
static bool quiet;
static u32 keeper;
static char text[TEXT];
static size_t text_len;

u64 finding_count(void)
{
	return __atomic_load_n(&count, __ATOMIC_SEQ_CST);
}

u64 finding_unexpected(void)
{
	return __atomic_load_n(&unexpected, __ATOMIC_RELAXED);
}

bool finding_under_way(void)
{
	return __atomic_load_n(&keeper, __ATOMIC_ACQUIRE);
}

const char *finding_text(void)
{
	return text;
}

void finding_quiet(bool q)
{
	WRITE_ONCE(quiet, q);
}

bool finding_is_quiet(void)
{
	return READ_ONCE(quiet);
}

void finding_repeat(void)
{
	if (!READ_ONCE(quiet))
		__atomic_fetch_add(&unexpected, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
}

/* As the keeper; what does not fit is left out, line by line. */
static void keep(const char *line)
{
	size_t n = strlen(line);

	if (text_len + n + 1 > TEXT)
		return;
	memcpy(text + text_len, line, n + 1);
	text_len += n;
}

static void tell(const struct finding *f, const char *fmt, va_list ap)
{
	char line[LINE];
	int n = snprintf(line, LINE, "[%u] ", smp_processor_id());
	int more = vsnprintf(line + n, LINE - 1 - (size_t)n, fmt, ap);

	n = n + more < LINE - 2 ? n + more : LINE - 2;
	line[n] = '\n';
	line[n + 1] = 0;
	if (f->printed)
		printk("%s", line);
	if (f->kept)
		keep(line);
}

void finding_begin(struct finding *f, const char *fmt, ...)
{
	u32 nobody = 0;
	va_list ap;

	f->printed = !READ_ONCE(quiet) && __atomic_fetch_add(&unexpected, 1, __ATOMIC_RELAXED) < FINDINGS_PRINTED;
	f->kept = __atomic_compare_exchange_n(&keeper, &nobody, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
	if (f->kept) {
		text_len = 0;
		text[0] = 0;
	}
	__atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
	va_start(ap, fmt);
	tell(f, fmt, ap);
	va_end(ap);
}

void finding_line(struct finding *f, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	tell(f, fmt, ap);
	va_end(ap);
}

void finding_trace(struct finding *f, const u64 *at, unsigned int n)
{
	char symbol[96];

	for (unsigned int i = 0; i < n; i++) {
		print_symbol(symbol, sizeof(symbol), at[i]);
		finding_line(f, "    %016lx %s", at[i], symbol);
	}
}

void finding_end(struct finding *f)
{
	if (f->kept)
		__atomic_store_n(&keeper, 0, __ATOMIC_RELEASE);
	if (panic_on_finding && !READ_ONCE(quiet))
		panic("a checker's finding, as told above");
}
