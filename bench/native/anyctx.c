/*
 * anyctx.c - the loops over anyctx as a process: two CPUs, each a thread, and the
 * allocator brought up as kernel/init.c does it. This file stands in its place, and
 * there are no timer interrupts, watchdog, tests or shell.
 *
 * All memory that the loops get is one mapping of mem= bytes, which the host fills in as
 * it is touched.
 */
#include "bench/native/native.h"
#include "kernel/cmdline.h"
#include "kernel/hooks.h"
#include "kernel/panic.h"
#include "kernel/smp.h"
#include "lib/string.h"
#include "mm/mm.h"
#include <anyctx/slab.h>
#include <arch/irq.h>
#include <arch/machine.h>

static const char *groups;
KPARAM_STR(groups, "groups", "which loops to run");

static void *pages_get(unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL, order);

	return page ? page_address(page) : NULL;
}

static void pages_put(void *p, unsigned int order)
{
	free_pages(virt_to_page(p), order);
}

static void (*thread_fn)(unsigned int thread);

static void other_thread(void *unused)
{
	(void)unused;
	thread_fn(smp_processor_id());
}

static void on_threads(unsigned int n, void (*fn)(unsigned int thread))
{
	thread_fn = fn;
	if (n > 1)
		cpu_thread_run(1, other_thread, NULL);
	fn(0);
	if (n > 1)
		cpu_thread_wait(1);
}

static void bring_up(void)
{
	arch_machine_init();
	mm_init();
	panic_mm_is_up();
	arch_irq_init();
	irq_work_init();
	arch_irq_enable();
	smp_set_online(arch_start_cpus());
}

void kernel_main(void)
{
	static const struct allocator a = {
		.name = "anyctx", .get = kmalloc, .put = (void (*)(void *))kfree, .flags = GFP_KERNEL,
		.pages_get = pages_get, .pages_put = pages_put, .on_threads = on_threads,
	};
	char *argv[2] = { NULL, NULL };

	if (!cmdline_parse(arch_cmdline()) || !groups)
		kernel_exit(EXIT_FAIL);
	bring_up();
	argv[1] = (char *)groups;
	kernel_exit(native_run(&a, 2, argv) ? EXIT_FAIL : EXIT_PASS);
}
