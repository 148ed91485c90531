/*
 * multiboot2.c - what the boot loader says: memory, command line, ACPI root.
 *
 * Everything is copied out (multiboot2_parse.c) while the boot information is reachable
 * (the boot page tables map the first 4 GiB); afterwards nobody looks at it again, yet
 * its memory is not given out, to keep one rule fewer. CPU 0, once.
 */
#include "kernel/printk.h"
#include "fwcfg.h"
#include "multiboot2.h"

#define MAGIC 0x36d76289
#define LEAST_MEMORY (8UL << 20)

struct mem_range mem_ranges[MAX_MEM_RANGES];
unsigned int nr_mem_ranges;
struct span_list ram_spans;

static struct boot_info boot;
static const char *boot_wrong; /* what is with the boot information; NULL: nothing */

const char *arch_cmdline(void)
{
	return boot.cmdline;
}

const void *arch_rsdp(void)
{
	return boot.rsdp_found ? boot.rsdp : NULL;
}

u64 low_page(void)
{
	return boot.low_page;
}

static bool rsdp_scan(u64 base, u64 end)
{
	for (u64 pa = base; pa < end; pa += 16)
		if (rsdp_take(&boot, phys_to_virt(pa), end - pa))
			return true;
	return false;
}

/* Without a tag: in the first KiB of the EBDA, or in the BIOS ROM. */
static void rsdp_search(void)
{
	u64 ebda = (u64)*(const u16 *)phys_to_virt(0x40e) << 4;

	if (ebda >= 0x80000 && ebda < 0xa0000 && rsdp_scan(ebda, ebda + 1024))
		return;
	rsdp_scan(0xe0000, 0x100000);
}

void multiboot2_parse(u32 magic, u64 mbi)
{
	const u8 *info = phys_to_virt(mbi);
	u32 size = *(const u32 *)info;

	if (magic != MAGIC)
		boot_die("anyctx: not started by a multiboot2 boot loader (eax is 0x%x, not 0x%x).\n"
			 "Boot the ISO, or use GRUB's multiboot2 command.",
			 magic, MAGIC);
	boot_wrong = multiboot2_read(&boot, info, size);
	if (!boot.rsdp_found)
		rsdp_search();
	span_cut(&boot.usable, (u64)__image_phys_start, image_phys(__image_end));
	span_cut(&boot.usable, mbi & PAGE_MASK, mbi + size);
	boot_memory_finish(&boot);
	ram_spans = boot.mapped;
	fwcfg_read_string("opt/anyctx/cmdline", boot.cmdline, sizeof(boot.cmdline));
}

void memory_map_publish(void)
{
	u64 total = span_total(&boot.usable);

	if (boot_wrong)
		printk("multiboot2: the boot information is cut short: it has %s\n", boot_wrong);
	if (total < LEAST_MEMORY)
		boot_die("anyctx: %lu KiB of usable memory; at least %lu MiB is needed.\n"
			 "Give the machine more (make ... MEM=64M).",
			 total >> 10, LEAST_MEMORY >> 20);
	for (unsigned int i = 0; i < boot.usable.n; i++)
		mem_ranges[i] = (struct mem_range){ .base = boot.usable.s[i].base,
						    .size = boot.usable.s[i].end - boot.usable.s[i].base };
	nr_mem_ranges = boot.usable.n;
	printk("memory: %lu MiB usable in %u ranges\n", total >> 20, boot.usable.n);
	if (boot.ignored_above)
		printk("memory: %lu MiB above %lu GiB ignored\n", boot.ignored_above >> 20,
		       DIRECT_MAP_MAX >> 30);
	if (boot.usable.lost)
		printk("memory: %lu KiB lost, more than %u ranges\n", boot.usable.lost >> 10,
		       MAX_MEM_RANGES);
}
