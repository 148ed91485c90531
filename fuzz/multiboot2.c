/*
 * multiboot2.c - target: the boot information (arch/x86_64/multiboot2_parse.c, span.c).
 *
 * An input is the information, all of it. Whatever it says, the memory that is given
 * out is whole pages that will be mapped and that no entry of the map has taken, and text
 * and root pointer are within bounds.
 */
#include "arch/x86_64/multiboot2.h"
#include "fuzz/fuzz.h"
#include <string.h>

#define IMAGE 0x200000UL /* where the kernel's would be */
#define IMAGE_END 0x345678UL

static struct boot_info b; /* too large for a stack in an engine's thread */

static bool overlaps(const struct span_list *l, u64 base, u64 end)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (base < l->s[i].end && l->s[i].base < end)
			return true;
	return false;
}

static void check_list(const struct span_list *l)
{
	FUZZ_CHECK(l->n <= MAX_MEM_RANGES);
	for (unsigned int i = 0; i < l->n; i++) {
		FUZZ_CHECK(l->s[i].base < l->s[i].end);
		FUZZ_CHECK(!i || l->s[i - 1].end < l->s[i].base);
		FUZZ_CHECK(!((l->s[i].base | l->s[i].end) & ~PAGE_MASK));
		FUZZ_CHECK(l->s[i].end <= DIRECT_MAP_MAX);
	}
}

static bool is_within(const struct span_list *l, u64 base, u64 end)
{
	for (unsigned int i = 0; i < l->n; i++)
		if (l->s[i].base <= base && end <= l->s[i].end)
			return true;
	return false;
}

static void check_memory(void)
{
	check_list(&b.usable);
	check_list(&b.mapped);
	for (unsigned int i = 0; i < b.usable.n; i++)
		FUZZ_CHECK(is_within(&b.mapped, b.usable.s[i].base, b.usable.s[i].end));
	FUZZ_CHECK(!overlaps(&b.usable, 0, LOW_MEMORY_END) && !overlaps(&b.usable, IMAGE, IMAGE_END));
	FUZZ_CHECK(b.low_page < LOW_RAM_END && !(b.low_page & ~PAGE_MASK));
}

static u64 number(const u8 *p, unsigned int bytes)
{
	u64 v = 0;

	memcpy(&v, p, bytes);
	return v;
}

/* All entries of the first memory map that are not RAM, found in another way. */
static void check_taken(const u8 *info, u64 len)
{
	for (u64 at = 8; at + 8 <= len && number(info + at, 4);) {
		u64 size = number(info + at + 4, 4), step;

		if (size < 8 || at + size > len)
			return;
		step = size >= 16 ? number(info + at + 8, 4) : 0;
		if (number(info + at, 4) == 6) {
			for (u64 e = at + 16; step >= 24 && e + step <= at + size; e += step) {
				u64 base = number(info + e, 8), end = base + number(info + e + 8, 8);

				if (number(info + e + 16, 4) != 1 && base != end)
					FUZZ_CHECK(!overlaps(&b.usable, base, end < base ? ~0UL : end));
			}
			return;
		}
		at = (at + size + 7) & ~7UL;
	}
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u8 *info = fuzz_exact(data, size);

	memset(&b, 0, sizeof(b));
	multiboot2_read(&b, info, (u32)size);
	span_cut(&b.usable, IMAGE, IMAGE_END);
	boot_memory_finish(&b);
	check_memory();
	check_taken(info, size);
	FUZZ_CHECK(strnlen(b.cmdline, sizeof(b.cmdline)) <= CMDLINE_MAX);
	FUZZ_CHECK(!b.rsdp_found || !memcmp(b.rsdp, "RSD PTR ", 8));
	fuzz_exact_free(info);
	return 0;
}
