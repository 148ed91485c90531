/*
 * alloc_console.c - the console of the allocator's target: the last that was printed is
 * kept, and shown when something is wrong; with FUZZ_VERBOSE in the environment all is
 * shown as it comes.
 *
 * kernel/printk.c lets one context write at a time. Any context.
 */
#include <arch/console.h>
#include <stdlib.h>
#include <unistd.h>
#include "arch/hosted/host.h"
#include "fuzz/alloc.h"

#define KEPT 8192 /* a power of two */

static char kept[KEPT];
static u64 written;
static bool verbose;

static void show(const char *s, u64 n)
{
	host_syscall(SYS_write, STDERR_FILENO, (u64)s, n, 0);
}

void arch_console_init(void)
{
	/* It is open. */
}

void arch_console_write(const char *s, size_t n)
{
	if (!written)
		verbose = getenv("FUZZ_VERBOSE");
	for (size_t i = 0; i < n; i++)
		kept[written++ % KEPT] = s[i];
	if (verbose)
		show(s, n);
}

int arch_console_getc(void)
{
	return -1;
}

void console_dump(void)
{
	u64 at = written % KEPT;

	if (written > KEPT)
		show(kept + at, KEPT - at);
	show(kept, at);
}
