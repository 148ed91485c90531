/*
 * init.c - from the first C function after the machine's set-up to the end: bring
 * everything up in order, do what the command line asks, and leave with a status.
 * CPU 0. kernel_main starts with interrupts off.
 */
#include <anyctx/config.h>
#include <anyctx/gfp.h>
#include <arch/irq.h>
#include <arch/machine.h>
#include "bench/bench.h"
#include "kernel/bootmark.h"
#include "kernel/cmdline.h"
#include "kernel/crash.h"
#include "kernel/finding.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "kernel/sched.h"
#include "kernel/shell.h"
#include "kernel/smp.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "kernel/workload.h"
#include "mm/fail.h"
#include "mm/mm.h"
#include "mm/slab_debug.h"
#include "tests/test.h"

static const char *test;
KPARAM_STR(test, "test", "run these test cases and leave: suite.case, suite.*, *, with commas; not those behind a -");
static const char *bench;
KPARAM_STR(bench, "bench", "run these benchmarks and leave: suite.case, suite.*, *, with commas");
static s64 shell;
KPARAM_INT(shell, "shell", 0, 1, "1: stay at a prompt after the job");

/* Each step uses only what those before it made. */
static void bring_up(void)
{
	arch_machine_init();
	sched_prepare();
	boot_mark("ACPI tables, per-CPU areas");
	if (!slab_debug_init())
		kernel_exit(EXIT_FAIL);
	mm_init();
	panic_mm_is_up();
	boot_mark("the allocator");
	arch_irq_init();
	irq_work_init();
	arch_irq_enable();
	boot_mark("interrupt controllers, clocks measured");
	smp_set_online(arch_start_cpus());
	boot_mark("the other CPUs");
	printk("anyctx: config %s\n", CONFIG_NAME);
	printk("anyctx: boot, %u CPUs, %lu MiB\n", num_online_cpus(),
	       nr_managed_pages() >> (20 - PAGE_SHIFT));
	arch_print_machine();
	tick_init();
	if (CONFIG_RT)
		lazy_init();
	if (!fail_init() || !watchdog_init())
		kernel_exit(EXIT_FAIL);
}

static int do_job(void)
{
	int status;

	if (!crash_if_asked())
		return EXIT_FAIL;
	if (test)
		status = run_tests(test) ? EXIT_FAIL : EXIT_PASS;
	else if (bench)
		status = run_benches(bench) ? EXIT_FAIL : EXIT_PASS;
	else
		status = workload_run();
	if (shell)
		status = shell_run(status);
	return findings_unexpected() ? EXIT_FAIL : status;
}

void kernel_main(void)
{
	boot_mark("console, traps, memory map, page tables");
	if (!cmdline_parse(arch_cmdline()))
		kernel_exit(EXIT_FAIL);
	bring_up();
	kernel_exit(do_job());
}
