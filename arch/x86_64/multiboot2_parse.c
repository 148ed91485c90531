/*
 * multiboot2_parse.c - the boot information: tags with command line, memory map and
 * ACPI root, out of untrusted bytes.
 *
 * Pure functions, see multiboot2.h. Invariant: no byte at or beyond len is read; a tag
 * is looked at only if all of it is there, and an entry of it likewise.
 */
#include "lib/string.h"
#include "multiboot2.h"

enum tag_type { TAG_END = 0, TAG_CMDLINE = 1, TAG_MMAP = 6, TAG_RSDP1 = 14, TAG_RSDP2 = 15 };
enum mmap_type { MMAP_RAM = 1, MMAP_ACPI = 3, MMAP_NVS = 4 };

#define FIXED_SIZE 8  /* of the information, before the first tag */
#define TAG_SIZE 8    /* of a tag's head: type, size */
#define MMAP_SIZE 16  /* of the memory map's: the size of an entry follows, and its version */
#define ENTRY_SIZE 24 /* of its entries, at least: base, length, type */

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static u64 get64(const u8 *p)
{
	return get32(p) | (u64)get32(p + 4) << 32;
}

/* ---- the tags ---- */

static void cmdline_take(struct boot_info *b, const u8 *text, u32 len)
{
	u32 n = 0;

	while (n < len && n < CMDLINE_MAX && text[n])
		n++;
	memcpy(b->cmdline, text, n);
	b->cmdline[n] = 0;
}

bool rsdp_take(struct boot_info *b, const u8 *p, size_t len)
{
	size_t size = RSDP_OLD_SIZE;
	u8 sum = 0;

	if (len < RSDP_OLD_SIZE || memcmp(p, "RSD PTR ", 8))
		return false;
	for (size_t i = 0; i < RSDP_OLD_SIZE; i++)
		sum += p[i];
	if (sum)
		return false;
	if (p[15] >= 2 && len >= RSDP_SIZE)
		size = RSDP_SIZE;
	memset(b->rsdp, 0, sizeof(b->rsdp));
	memcpy(b->rsdp, p, size);
	b->rsdp_found = true;
	return true;
}

static u64 entry_end(const u8 *e)
{
	u64 base = get64(e), len = get64(e + 8);

	return base + len < base ? ~0UL : base + len;
}

static u64 page_end(u64 end)
{
	return end > ~0UL - PAGE_SIZE ? PAGE_MASK : (end + PAGE_SIZE - 1) & PAGE_MASK;
}

static void map_add(struct boot_info *b, const u8 *e)
{
	u32 type = get32(e + 16);

	if (type == MMAP_RAM)
		span_add(&b->usable, get64(e), entry_end(e));
	if (type == MMAP_RAM || type == MMAP_ACPI || type == MMAP_NVS)
		span_add(&b->mapped, get64(e) & PAGE_MASK, page_end(entry_end(e)));
}

static void map_cut(struct boot_info *b, const u8 *e)
{
	if (get32(e + 16) != MMAP_RAM)
		span_cut(&b->usable, get64(e), entry_end(e));
}

/* RAM first, then whatever another entry says about a part of it overrides. */
static const char *mmap_take(struct boot_info *b, const u8 *t, u32 size)
{
	u32 step = size < MMAP_SIZE ? 0 : get32(t + 8), n;

	if (step < ENTRY_SIZE)
		return "a memory map whose entries are too short";
	if (b->have_map)
		return "a second memory map";
	n = (size - MMAP_SIZE) / step;
	for (u32 i = 0; i < n; i++)
		map_add(b, t + MMAP_SIZE + i * step);
	for (u32 i = 0; i < n; i++)
		map_cut(b, t + MMAP_SIZE + i * step);
	b->have_map = true;
	return NULL;
}

/* The size bytes at t are a tag. */
static const char *tag_take(struct boot_info *b, const u8 *t, u32 size)
{
	switch (get32(t)) {
	case TAG_CMDLINE:
		cmdline_take(b, t + TAG_SIZE, size - TAG_SIZE);
		break;
	case TAG_MMAP:
		return mmap_take(b, t, size);
	case TAG_RSDP1:
		if (!b->rsdp_found)
			rsdp_take(b, t + TAG_SIZE, size - TAG_SIZE);
		break;
	case TAG_RSDP2:
		rsdp_take(b, t + TAG_SIZE, size - TAG_SIZE); /* the newer one wins */
		break;
	}
	return NULL;
}

const char *multiboot2_read(struct boot_info *b, const u8 *info, u32 len)
{
	u32 off = FIXED_SIZE;

	while (len >= TAG_SIZE && off <= len - TAG_SIZE && get32(info + off) != TAG_END) {
		u32 size = get32(info + off + 4);
		const char *wrong;

		if (size < TAG_SIZE || size > len - off)
			return "a tag that goes beyond its end";
		wrong = tag_take(b, info + off, size);
		if (wrong)
			return wrong;
		if (len - off - size < 7)
			return NULL; /* no room for another */
		off = (off + size + 7) & ~7u;
	}
	return NULL;
}

/* ---- the memory ---- */

/* The highest page of RAM there; page 0, with the firmware's data, does not count. */
static u64 low_page_find(const struct span_list *usable)
{
	for (unsigned int i = usable->n; i-- > 0;) {
		u64 end = usable->s[i].end & PAGE_MASK;

		if (end > LOW_RAM_END)
			end = LOW_RAM_END;
		if (end >= 2 * PAGE_SIZE && end - PAGE_SIZE >= usable->s[i].base)
			return end - PAGE_SIZE;
	}
	return 0;
}

/* A map of more pieces than there is room for may have lost one of the mapped. */
static void keep_mapped(struct boot_info *b)
{
	u64 at = 0;

	for (unsigned int i = 0; i < b->mapped.n; i++) {
		span_cut(&b->usable, at, b->mapped.s[i].base);
		at = b->mapped.s[i].end;
	}
	span_cut(&b->usable, at, ~0UL);
}

void boot_memory_finish(struct boot_info *b)
{
	u64 before;

	span_add(&b->mapped, 0, LOW_MEMORY_END);
	span_cut(&b->mapped, DIRECT_MAP_MAX, ~0UL);
	before = span_total(&b->usable);
	span_cut(&b->usable, DIRECT_MAP_MAX, ~0UL);
	b->ignored_above = before - span_total(&b->usable);
	b->low_page = low_page_find(&b->usable);
	span_cut(&b->usable, 0, LOW_MEMORY_END);
	keep_mapped(b);
	span_round_inward(&b->usable);
}
