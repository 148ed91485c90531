/*
 * crash_context.c - bad ends (crash=) in a chosen context: in a thread, with interrupts
 * off, in an interrupt, an NMI or a breakpoint's handler; there also in the middle of a
 * call of the allocator, and with a CPU offline. First the allocator's state is told by
 * a full walk, so that what a panic tells can be compared. CPU 0, after boot.
 */
#include <anyctx/cpu.h>
#include <anyctx/irq_work.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/cmdline.h"
#include "kernel/crash.h"
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "kernel/watchdog.h"
#include "lib/string.h"
#include "mm/mm.h"

static const char *crash_in = "thread";
KPARAM_STR(crash_in, "crash_in", "where crash= does it: thread, irqoff, irq, nmi, debug");
static s64 crash_inside;
KPARAM_INT(crash_inside, "crash_inside", 0, 1, "1: there in the middle of a call of the allocator");
static s64 crash_offline;
KPARAM_INT(crash_offline, "crash_offline", 0, NR_CPUS - 1, "with this CPU offline; 0: none");

#define INSIDE_AT 400 /* instructions of the allocator before it */

static void (*todo)(void);
static struct kmem_cache *cache;
static unsigned int steps;

static void do_it(void)
{
	void (*fn)(void) = todo;

	todo = NULL;
	if (fn)
		fn();
}

static void in_irq(struct irq_work *w)
{
	(void)w;
	do_it();
}

static void in_nmi(struct regs *r)
{
	(void)r;
	do_it();
}

static bool in_debug(struct regs *r, u64 dr6)
{
	(void)r;
	(void)dr6;
	do_it();
	return true;
}

/* From here, a thread or a breakpoint's handler, into the context. */
static void go_irq(void)
{
	static struct irq_work w;

	init_irq_work(&w, in_irq);
	irq_work_queue(&w);
}

static void go_nmi(void)
{
	set_nmi_hook(in_nmi);
	arch_send_nmi(smp_processor_id());
}

static void go_debug(void)
{
	set_trap_hook(in_debug);
	arch_breakpoint();
}

static void go_irqoff(void)
{
	arch_irq_disable();
	do_it();
	arch_irq_enable();
}

static const struct place {
	const char *name;
	void (*go)(void);
	void (*go_from_step)(void); /* NULL: by a constructor instead */
} places[] = {
	{ "thread", do_it, NULL }, { "irqoff", go_irqoff, NULL }, { "irq", go_irq, go_irq },
	{ "nmi", go_nmi, go_nmi }, { "debug", go_debug, do_it },
};
static const struct place *place;

static bool on_step(struct regs *r, u64 dr6)
{
	(void)dr6;
	if (mm_in_text(r->rip) && ++steps == INSIDE_AT)
		place->go_from_step();
	return true;
}

static void in_constructor(void *obj)
{
	(void)obj;
	place->go();
}

/* The first object of a cache: its way is long. */
static void go_inside(void)
{
	cache = kmem_cache_create("crash", 200, 0, 0, place->go_from_step ? NULL : in_constructor);
	if (place->go_from_step) {
		set_trap_hook(on_step);
		__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(RFLAGS_TF) : "memory", "cc");
	}
	kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL));
	if (place->go_from_step)
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

void crash_in_context(void (*fn)(void))
{
	for (unsigned int i = 0; i < ARRAY_SIZE(places); i++)
		if (!strcmp(crash_in, places[i].name))
			place = &places[i];
	if (!place) {
		printk("error: crash_in=%s is none of those that the list of arguments names\n", crash_in);
		return;
	}
	if (crash_offline && cpu_down((unsigned int)crash_offline))
		printk("error: CPU %ld does not go offline\n", crash_offline);
	watchdog_pause(true); /* its samples are memory */
	fill();
	mm_print_walk();
	printk_flush();
	todo = fn;
	if (crash_inside)
		go_inside();
	else
		place->go();
	while (READ_ONCE(todo))
		cpu_relax();
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
	watchdog_pause(false);
}
