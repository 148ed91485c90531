/*
 * printk.c - the console of the parsers' targets: what is printed is made, and dropped;
 * with FUZZ_VERBOSE in the environment it goes to standard error.
 *
 * The kernel's printf is called kernel_snprintf here (fuzz.mk), as the C library's lives
 * in the same process.
 */
#include "kernel/printk.h"
#include "lib/string.h"
#include <stdlib.h>
#include <unistd.h>

#define LINE 512

void printk(const char *fmt, ...)
{
	char text[LINE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (n > 0 && getenv("FUZZ_VERBOSE") && write(STDERR_FILENO, text, strlen(text)) < 0)
		abort();
}
