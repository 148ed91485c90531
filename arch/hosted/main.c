/*
 * main.c - the process: its arguments are the kernel's, its exit status is the
 * kernel's, and its first thread does nothing but wait for that status.
 *
 * Invariant: exit_status goes from NOT_YET to its value once, by one compare-and-
 * swap. The first thread is no CPU; all that the C library does at the end (what
 * sanitizers and coverage hang on to) happens on it.
 */
#include <linux/futex.h>
#include <stdlib.h>
#include <unistd.h>
#include "host.h"
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "lib/string.h"

#define NOT_YET (-1)
#define STATUS_REBOOT 3

static int exit_status = NOT_YET;
static char command_line[CMDLINE_MAX + 1]; /* one too long is refused by the parser */

void host_die(const char *what)
{
	const char *parts[] = { "anyctx: ", what, "\n" };

	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		host_syscall(SYS_write, STDERR_FILENO, (u64)parts[i], strlen(parts[i]), 0);
	_exit(1);
}

const char *arch_cmdline(void)
{
	return command_line;
}

static void put(size_t *n, const char *text)
{
	for (; *text && *n < CMDLINE_MAX; text++)
		command_line[(*n)++] = *text;
}

/* Each word in quotes, so that spaces in it stay there. */
static void command_line_join(int argc, char **argv)
{
	size_t n = 0;

	for (int i = 1; i < argc; i++) {
		const char *quote = strchr(argv[i], '\'') ? "\"" : "'";

		put(&n, i > 1 ? " " : "");
		put(&n, strchr(argv[i], ' ') ? quote : "");
		put(&n, argv[i]);
		put(&n, strchr(argv[i], ' ') ? quote : "");
	}
}

static void __noreturn leave(int status)
{
	int none = NOT_YET;

	arch_irq_disable();
	if (__atomic_compare_exchange_n(&exit_status, &none, status, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		host_syscall(SYS_futex, (u64)&exit_status, FUTEX_WAKE, 1, 0);
	arch_stop();
}

/* 0: passed, 1: failed, 2: panic, as tools/qemu.sh has them. */
void arch_exit(int code)
{
	leave(code - EXIT_PASS);
}

void arch_reboot(void)
{
	leave(STATUS_REBOOT);
}

static void boot(unsigned int cpu)
{
	(void)cpu;
	kernel_main();
}

int main(int argc, char **argv)
{
	int status;

	command_line_join(argc, argv);
	host_pid = getpid();
	signals_block(true);
	signals_install();
	if (!cpu_start(0, boot))
		host_die("no thread for CPU 0");
	while ((status = __atomic_load_n(&exit_status, __ATOMIC_ACQUIRE)) == NOT_YET)
		host_syscall(SYS_futex, (u64)&exit_status, FUTEX_WAIT, (u64)NOT_YET, 0);
	exit(status);
}
