/*
 * alloc_host.c - the process of the allocator's target: it becomes the hosted machine
 * (arch/hosted) when the first input comes, and stays so. What it leaves out is in
 * alloc.h. (Not before the first input: AFL++ forks in between.)
 */
#include <unistd.h>
#include "arch/hosted/host.h"
#include "fuzz/alloc.h"
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/smp.h"
#include "mm/fail.h"
#include "mm/mm.h"

/* Small, so that memory ends soon; with a hole and a second node. */
const char *arch_cmdline(void)
{
	return "cpus=2 mem=20M nodes=2 holes=14M-14348K";
}

void host_die(const char *what)
{
	fuzz_fail("%s", what);
}

/* A panic has printed what it has to say. */
void arch_exit(int code)
{
	fuzz_fail("the kernel left with status 0x%x", (unsigned int)code);
}

void arch_reboot(void)
{
	fuzz_fail("the kernel restarts");
}

/* ---- CPU 0: as kernel/init.c brings it up, but for ticks and watchdog ---- */

static void bring_up(void)
{
	if (!cmdline_parse(arch_cmdline()))
		host_die("the machine's arguments");
	arch_machine_init();
	mm_init();
	panic_mm_is_up();
	arch_irq_init();
	irq_work_init();
	arch_irq_enable();
	smp_set_online(arch_start_cpus());
	if (num_online_cpus() != 2 || !fail_init())
		host_die("the machine does not start");
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };

	if (!host_pid) {
		host_pid = getpid();
		cpu0_become();
		signals_install();
		bring_up();
		sequence_first();
	}
	sequence_run(&in);
	return 0;
}
