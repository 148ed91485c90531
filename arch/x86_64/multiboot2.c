/*
 * multiboot2.c - what the boot loader says: memory, command line, ACPI root.
 *
 * Everything is copied out while the boot information is reachable (the boot
 * page tables map the first 4 GiB); afterwards nobody looks at it again, yet its
 * memory is not given out, to keep one rule fewer. CPU 0, once.
 */
#include "kernel/cmdline.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "private.h"
#include "fwcfg.h"

#define MAGIC 0x36d76289
#define LOW_MEMORY_END (1UL << 20) /* BIOS data, the other CPUs' start code */
#define LOW_RAM_END 0xa0000UL /* above it ROMs and the screen */
#define LEAST_MEMORY (8UL << 20)

enum tag_type { TAG_END = 0, TAG_CMDLINE = 1, TAG_MMAP = 6, TAG_RSDP1 = 14, TAG_RSDP2 = 15 };
enum mmap_type { MMAP_RAM = 1, MMAP_ACPI = 3, MMAP_NVS = 4 };

struct tag {
	u32 type, size;
};

struct tag_mmap {
	struct tag tag;
	u32 entry_size, entry_version;
};

struct mmap_entry {
	u64 base, len;
	u32 type, zero;
};

struct mem_range mem_ranges[MAX_MEM_RANGES];
unsigned int nr_mem_ranges;
struct span_list ram_spans;

static struct span_list usable;
static char cmdline[CMDLINE_MAX + 1]; /* one too long is refused by the parser */
static u8 rsdp[36];
static bool rsdp_found;
static u64 free_low_page;
static u64 ignored_above; /* bytes of RAM beyond what the direct map covers */

const char *arch_cmdline(void)
{
	return cmdline;
}

const void *arch_rsdp(void)
{
	return rsdp_found ? rsdp : NULL;
}

u64 low_page(void)
{
	return free_low_page;
}

static bool rsdp_take(const void *p)
{
	const u8 *b = p;
	size_t size = 20;
	u8 sum = 0;

	if (memcmp(b, "RSD PTR ", 8))
		return false;
	for (size_t i = 0; i < 20; i++)
		sum += b[i];
	if (sum)
		return false;
	if (b[15] >= 2)
		size = sizeof(rsdp);
	memset(rsdp, 0, sizeof(rsdp));
	memcpy(rsdp, b, size);
	rsdp_found = true;
	return true;
}

static bool rsdp_scan(u64 base, u64 end)
{
	for (u64 pa = base; pa < end; pa += 16)
		if (rsdp_take(phys_to_virt(pa)))
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

static const struct mmap_entry *mmap_entry(const struct tag_mmap *t, u32 i)
{
	u32 off = sizeof(*t) + i * t->entry_size;

	if (t->entry_size < sizeof(struct mmap_entry) || off + t->entry_size > t->tag.size)
		return NULL;
	return (const void *)((const char *)t + off);
}

static u64 entry_end(const struct mmap_entry *e)
{
	return e->base + e->len < e->base ? ~0UL : e->base + e->len;
}

/* RAM first, then whatever another entry says about a part of it overrides. */
static void mmap_take(const struct tag_mmap *t)
{
	const struct mmap_entry *e;

	for (u32 i = 0; (e = mmap_entry(t, i)); i++) {
		if (e->type == MMAP_RAM)
			span_add(&usable, e->base, entry_end(e));
		if (e->type == MMAP_RAM || e->type == MMAP_ACPI || e->type == MMAP_NVS)
			span_add(&ram_spans, e->base & PAGE_MASK,
				 (entry_end(e) + PAGE_SIZE - 1) & PAGE_MASK);
	}
	for (u32 i = 0; (e = mmap_entry(t, i)); i++)
		if (e->type != MMAP_RAM)
			span_cut(&usable, e->base, entry_end(e));
}

static void tag_take(const struct tag *t)
{
	const char *text = (const char *)(t + 1);

	switch (t->type) {
	case TAG_CMDLINE:
		snprintf(cmdline, sizeof(cmdline), "%s", text);
		break;
	case TAG_MMAP:
		mmap_take((const void *)t);
		break;
	case TAG_RSDP1:
		if (!rsdp_found)
			rsdp_take(text);
		break;
	case TAG_RSDP2:
		rsdp_take(text); /* the newer one wins */
		break;
	}
}

/* The highest page of RAM there; page 0, with the firmware's data, does not count. */
static u64 low_page_find(void)
{
	for (unsigned int i = usable.n; i-- > 0;) {
		u64 end = usable.s[i].end & PAGE_MASK;

		if (end > LOW_RAM_END)
			end = LOW_RAM_END;
		if (end >= 2 * PAGE_SIZE && end - PAGE_SIZE >= usable.s[i].base)
			return end - PAGE_SIZE;
	}
	return 0;
}

/* What is RAM and yet not to be given out. */
static void drop_taken(u64 mbi, u64 mbi_size)
{
	u64 before;

	span_add(&ram_spans, 0, LOW_MEMORY_END);
	span_cut(&ram_spans, DIRECT_MAP_MAX, ~0UL);
	before = span_total(&usable);
	span_cut(&usable, DIRECT_MAP_MAX, ~0UL);
	ignored_above = before - span_total(&usable);
	free_low_page = low_page_find();
	span_cut(&usable, 0, LOW_MEMORY_END);
	span_cut(&usable, (u64)__image_phys_start, image_phys(__image_end));
	span_cut(&usable, mbi & PAGE_MASK, mbi + mbi_size);
	span_round_inward(&usable);
}

void multiboot2_parse(u32 magic, u64 mbi)
{
	const char *info = phys_to_virt(mbi);
	u32 size = *(const u32 *)info;

	if (magic != MAGIC)
		boot_die("anyctx: not started by a multiboot2 boot loader (eax is 0x%x, not 0x%x).\n"
			 "Boot the ISO, or use GRUB's multiboot2 command.",
			 magic, MAGIC);
	for (u32 off = 8; off + sizeof(struct tag) <= size;) {
		const struct tag *t = (const void *)(info + off);

		if (t->type == TAG_END || t->size < sizeof(*t))
			break;
		tag_take(t);
		off += (t->size + 7) & ~7u;
	}
	if (!rsdp_found)
		rsdp_search();
	drop_taken(mbi, size);
	fwcfg_read_string("opt/anyctx/cmdline", cmdline, sizeof(cmdline));
}

void memory_map_publish(void)
{
	u64 total = span_total(&usable);

	if (total < LEAST_MEMORY)
		boot_die("anyctx: %lu KiB of usable memory; at least %lu MiB is needed.\n"
			 "Give the machine more (make ... MEM=64M).",
			 total >> 10, LEAST_MEMORY >> 20);
	for (unsigned int i = 0; i < usable.n; i++)
		mem_ranges[i] = (struct mem_range){ .base = usable.s[i].base,
						    .size = usable.s[i].end - usable.s[i].base };
	nr_mem_ranges = usable.n;
	printk("memory: %lu MiB usable in %u ranges\n", total >> 20, usable.n);
	if (ignored_above)
		printk("memory: %lu MiB above %lu GiB ignored\n", ignored_above >> 20,
		       DIRECT_MAP_MAX >> 30);
	if (usable.lost)
		printk("memory: %lu KiB lost, more than %u ranges\n", usable.lost >> 10,
		       MAX_MEM_RANGES);
}
