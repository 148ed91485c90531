/*
 * fuzz.c - what the targets share (fuzz.h): the last words, and exact buffers.
 */
#include "fuzz/fuzz.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A target with a console of its own has another. */
__attribute__((weak)) void console_dump(void)
{
}

void fuzz_fail(const char *fmt, ...)
{
	char text[400];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text) - 1, fmt, ap);
	va_end(ap);
	n = n < (int)sizeof(text) - 2 ? n : (int)sizeof(text) - 2;
	text[n++] = '\n';
	if (write(STDERR_FILENO, "fuzz: ", 6) < 0 || write(STDERR_FILENO, text, (size_t)n) < 0)
		abort();
	console_dump();
	abort();
}

u8 *fuzz_exact(const u8 *data, size_t size)
{
	u8 *p = malloc(size);

	if (!p)
		abort();
	if (size)
		memcpy(p, data, size);
	return p;
}

void fuzz_exact_free(u8 *p)
{
	free(p);
}
