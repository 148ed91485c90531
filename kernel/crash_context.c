/*
 * crash_context.c - bad ends (crash=) in a chosen context of a chosen CPU: in a thread, with
 * interrupts off, in an interrupt, an NMI or a breakpoint's handler; there also in the middle
 * of a call of the allocator, and with a CPU offline. First the allocator's state is told by
 * a full walk, so that what a panic tells can be compared. CPU 0, after boot.
 */
#include <anyctx/cpu.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include "kernel/cmdline.h"
#include "kernel/crash.h"
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "kernel/run_in.h"
#include "kernel/watchdog.h"
#include "mm/mm.h"

static const char *crash_in = "thread";
KPARAM_STR(crash_in, "crash_in", "where crash= does it: thread, irqoff, irq, nmi, debug");
static s64 crash_cpu;
KPARAM_INT(crash_cpu, "crash_cpu", 0, NR_CPUS - 1, "and on which CPU");
static s64 crash_inside;
KPARAM_INT(crash_inside, "crash_inside", 0, 1, "1: there in the middle of a call of the allocator");
static s64 crash_offline;
KPARAM_INT(crash_offline, "crash_offline", 0, NR_CPUS - 1, "with this CPU offline; 0: none");

#define INSIDE_AT 400 /* instructions of the allocator before it */

static crash_fn_t todo;
static enum context place;
static unsigned int steps;

static void do_it(void *unused)
{
	(void)unused;
	todo();
	WRITE_ONCE(todo, NULL);
}

/* From here, a thread of that CPU or a breakpoint's handler, into the context. */
static void go(void)
{
	run_in_begin(place, smp_processor_id(), do_it, NULL);
}

static bool on_step(struct regs *r, u64 dr6)
{
	(void)dr6;
	if (mm_in_text(r->rip) && ++steps == INSIDE_AT)
		go();
	set_trap_hook(on_step);
	return true;
}

static void in_constructor(void *obj)
{
	(void)obj;
	go();
}

/* The first object of a cache: its way is long. Into a thread's context a constructor leads. */
static __noinline void go_inside(void *unused)
{
	bool by_step = context_of_place(place) != CTX_THREAD;
	struct kmem_cache *cache = kmem_cache_create("crash", 200, 0, 0, by_step ? NULL : in_constructor);

	(void)unused;
	if (by_step) {
		set_trap_hook(on_step);
		__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(RFLAGS_TF) : "memory", "cc");
	}
	kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL));
	if (by_step)
		__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~RFLAGS_TF) : "memory", "cc");
}

#define FILL 300

/* So that the figures are not all 0: every third object stays in use, and some blocks. */
static void fill(void)
{
	static void *objs[FILL];
	unsigned int used = 0;

	for (unsigned int i = 0; i < FILL; i++)
		objs[i] = kmalloc(16UL << i % 9, GFP_KERNEL);
	for (unsigned int i = 0; i < FILL; i++) {
		if (i % 3)
			kfree(objs[i]);
		used += objs[i] && !(i % 3);
	}
	if (!kmalloc(50000, GFP_KERNEL) || !alloc_pages(GFP_KERNEL, 3))
		printk("error: no memory\n");
	printk("crash: %u objects are in use\n", used);
}

static bool arguments_right(void)
{
	if (!place_of_name(crash_in, &place))
		printk("error: crash_in=%s is none of those that the list of arguments names\n", crash_in);
	else if (crash_offline && crash_offline == crash_cpu)
		printk("error: crash_offline=%ld and crash_cpu=%ld: nothing can be made to crash on a CPU that is offline\n",
		       crash_offline, crash_cpu);
	else if (!cpu_online((unsigned int)crash_cpu))
		printk("error: crash_cpu=%ld, but there are CPUs 0 to %u only\n", crash_cpu, num_possible_cpus() - 1);
	else
		return true;
	return false;
}

static void go_there(crash_fn_t fn)
{
	WRITE_ONCE(todo, fn);
	if (!crash_inside)
		run_in(place, (unsigned int)crash_cpu, do_it, NULL);
	else if (crash_cpu)
		cpu_thread_run((unsigned int)crash_cpu, go_inside, NULL);
	else
		go_inside(NULL);
	while (READ_ONCE(todo))
		cpu_relax();
}

void crash_in_context(crash_fn_t fn)
{
	if (!arguments_right())
		return;
	if (crash_offline && cpu_down((unsigned int)crash_offline))
		printk("error: CPU %ld does not go offline\n", crash_offline);
	watchdog_pause(true); /* its samples are memory */
	fill();
	mm_print_walk();
	printk_flush();
	go_there(fn);
	printk("crash: survived\n");
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
	watchdog_pause(false);
}
