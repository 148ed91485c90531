/*
 * setup.c - from the first C instruction to kernel_main(), on CPU 0.
 *
 * The order is the subject: each step uses only what the ones before it made.
 * Runs once, with interrupts off.
 */
#include <arch/console.h>
#include <arch/irq.h>
#include "kernel/bootmark.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/early.h"
#include "mm/kasan/kasan.h"
#include "private.h"

#define BOOT_REACH (4UL << 30) /* what the boot page tables map */

void __noreturn setup_early(u32 magic, u64 mbi);

void boot_die(const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	arch_console_write("\n", 1);
	arch_console_write(buf, strlen(buf));
	arch_console_write("\n", 1);
	arch_exit(EXIT_FAIL);
}

static void __noreturn setup_on_stack(void)
{
	ist_stacks_alloc(0);
	kernel_main();
}

/* The stack that this runs on has no redzones: nothing lies in its shadow's way. */
static void shadow_setup(void)
{
	for (unsigned int i = 0; i < ram_spans.n; i++)
		kasan_map_ram(ram_spans.s[i].base, ram_spans.s[i].end);
	kasan_init(ram_spans.s[ram_spans.n - 1].end);
}

void setup_early(u32 magic, u64 mbi)
{
	boot_mark("entry");
	arch_console_init();
	features_require();
	idt_init();
	ist_stacks_boot();
	cpu_tables_load(0);
	features_selftest();
	multiboot2_parse(magic, mbi);
	memory_map_publish();
	early_set_limit(BOOT_REACH);
	paging_init();
	early_set_limit(DIRECT_MAP_MAX);
	if (CONFIG_KASAN)
		shadow_setup();
	switch_stack(stack_alloc(), setup_on_stack);
}
