/*
 * shell.c - a prompt on the serial console: what the allocator and the CPUs do,
 * the main job and the tests again. CPU 0, thread context; polls the port at
 * each timer interrupt.
 */
#include "kernel/shell.h"
#include <anyctx/cpu.h>
#include <anyctx/smp.h>
#include <arch/console.h>
#include <arch/irq.h>
#include <arch/machine.h>
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "kernel/workload.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "tests/test.h"

#define LINE 128
#define PROMPT "anyctx> "

struct command {
	const char *name, *help;
	void (*run)(const char *arg);
};

static int last_status;
static bool done;

static void cmd_help(const char *arg);

static void cmd_meminfo(const char *arg)
{
	(void)arg;
	mm_print_meminfo();
}

static void cmd_memcg(const char *arg)
{
	(void)arg;
	mm_print_memcg();
}

static void cmd_slabinfo(const char *arg)
{
	(void)arg;
	mm_print_slabinfo();
}

static void cmd_buddyinfo(const char *arg)
{
	(void)arg;
	mm_print_buddyinfo();
}

static void cmd_irqs(const char *arg)
{
	(void)arg;
	printk("%-6s %10s %10s %10s %10s %7s %6s %6s %9s %6s\n", "cpu", "timer", "irq_work", "call", "nmi",
	       "nested", "debug", "break", "spurious", "error");
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++) {
		const struct irq_counts *c = per_cpu_ptr(irq_counts, cpu);

		printk("cpu %-2u %10lu %10lu %10lu %10lu %7lu %6lu %6lu %9lu %6lu\n", cpu, c->timer,
		       c->ipi[IPI_IRQ_WORK], c->ipi[IPI_CALL], c->nmi, c->nmi_nested, c->debug,
		       c->breakpoint, c->spurious, c->apic_error);
	}
}

static void cmd_cpus(const char *arg)
{
	(void)arg;
	printk("%u CPUs online, %u nodes, %u timer interrupts a second and CPU\n", num_online_cpus(), num_nodes(),
	       tick_hz());
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		printk("cpu %-2u node %d%s, watchdog samples %lu (failed %lu)\n", cpu, cpu_to_node(cpu),
		       cpu_online(cpu) ? "" : " offline", per_cpu_ptr(watchdog_counts, cpu)->samples,
		       per_cpu_ptr(watchdog_counts, cpu)->failed);
}

/* A number of one or two digits; NR_CPUS if it is none. */
static unsigned int cpu_number_of(const char *arg)
{
	unsigned int cpu = 0, i = 0;

	for (; i < 2 && arg[i] >= '0' && arg[i] <= '9'; i++)
		cpu = 10 * cpu + (unsigned int)(arg[i] - '0');
	return i && !arg[i] ? cpu : NR_CPUS;
}

static void tell_moved(const char *arg, int err)
{
	if (err == -EINVAL)
		printk("there is no CPU '%s'\n", arg);
	else if (err)
		printk("CPU %s stays: it is CPU 0, or busy\n", arg);
}

static void cmd_offline(const char *arg)
{
	tell_moved(arg, cpu_down(cpu_number_of(arg)));
}

static void cmd_online(const char *arg)
{
	tell_moved(arg, cpu_up(cpu_number_of(arg)));
}

static void cmd_run(const char *arg)
{
	(void)arg;
	last_status = workload_run();
}

static void cmd_test(const char *arg)
{
	last_status = run_tests(*arg ? arg : "*") ? EXIT_FAIL : EXIT_PASS;
}

static void cmd_reboot(const char *arg)
{
	(void)arg;
	printk_flush();
	arch_reboot();
}

static void cmd_exit(const char *arg)
{
	(void)arg;
	done = true;
}

static const struct command commands[] = {
	{ "help", "this list", cmd_help },
	{ "meminfo", "memory: managed, free, used for what", cmd_meminfo },
	{ "slabinfo", "the object caches", cmd_slabinfo },
	{ "memcg", "the groups that pay for memory", cmd_memcg },
	{ "buddyinfo", "free blocks by order", cmd_buddyinfo },
	{ "irqs", "interrupts taken, by CPU", cmd_irqs },
	{ "cpus", "CPUs, their nodes, the watchdog", cmd_cpus },
	{ "offline", "offline N: CPU N gives back what it has, and sleeps", cmd_offline },
	{ "online", "online N: it works again", cmd_online },
	{ "run", "the main job on the CPUs that are online", cmd_run },
	{ "test", "test PATTERN: test cases, for example test lib.*", cmd_test },
	{ "reboot", "reset the machine", cmd_reboot },
	{ "exit", "leave, with the status of the last job or test", cmd_exit },
};

static void cmd_help(const char *arg)
{
	(void)arg;
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		printk("  %-10s %s\n", commands[i].name, commands[i].help);
}

static char read_char(void)
{
	int c;

	while ((c = arch_console_getc()) < 0) {
		if (tick_hz())
			arch_idle();
		else
			cpu_relax();
	}
	return (char)c;
}

static void read_line(char *line)
{
	size_t n = 0;

	for (;;) {
		char c = read_char();

		if (c == '\r' || c == '\n') {
			printk("\n");
			line[n] = 0;
			return;
		}
		if (c == '\b' || c == 0x7f) {
			if (n) {
				n--;
				printk("\b \b");
			}
		} else if (c >= ' ' && n < LINE - 1) {
			line[n++] = c;
			printk("%c", c);
		}
	}
}

/* The word at the start of the line, cut off; its argument begins at the result. */
static char *split(char *line)
{
	char *space = strchr(line, ' ');

	if (!space)
		return line + strlen(line);
	while (*space == ' ')
		*space++ = 0;
	return space;
}

static void cut_trailing_blanks(char *line)
{
	size_t n = strlen(line);

	while (n && line[n - 1] == ' ')
		line[--n] = 0;
}

static void obey(char *line)
{
	char *arg;

	cut_trailing_blanks(line);
	while (*line == ' ')
		line++;
	arg = split(line);
	if (!*line)
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(line, commands[i].name)) {
			commands[i].run(arg);
			return;
		}
	}
	printk("unknown command '%s'; try help\n", line);
}

int shell_run(int status)
{
	char line[LINE];

	last_status = status;
	for (done = false; !done;) {
		printk(PROMPT);
		read_line(line);
		obey(line);
	}
	return last_status;
}
