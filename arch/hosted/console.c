/*
 * console.c - standard output and input as the console.
 *
 * No state but the position in the last words: any context; kernel/printk.c decides
 * whose turn it is.
 */
#include <arch/console.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>
#include "host.h"

void arch_console_init(void)
{
	/* It is open. */
}

void arch_console_write(const char *s, size_t n)
{
	while (n) {
		long done = host_syscall(SYS_write, STDOUT_FILENO, (u64)s, n, 0);

		if (done == -EAGAIN || done == -EINTR)
			continue;
		if (done <= 0)
			return;
		s += done;
		n -= (size_t)done;
	}
}

/* At the end of the input a prompt would ask for ever: it is told to leave. */
int arch_console_getc(void)
{
	static const char last_words[] = "exit\n";
	static unsigned int said;
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;
	long n;

	if (host_syscall(SYS_poll, (u64)&input, 1, 0, 0) <= 0)
		return -1;
	n = host_syscall(SYS_read, STDIN_FILENO, (u64)&c, 1, 0);
	if (n == 1)
		return (u8)c;
	return n == 0 && said < sizeof(last_words) - 1 ? last_words[said++] : -1;
}
