/*
 * ksyms.c - from an address to "function+0x12/0x80".
 *
 * The table is made by tools/ksyms.py after a first link, and linked in behind
 * the text, which it therefore does not move. In the first link it is missing:
 * then addresses are printed as numbers. Constant data: any context.
 */
#include "kernel/panic.h"
#include "kernel/printk.h"

/* Sorted offsets from __text_start, and where each name starts in ksyms_names;
 * the last offset is the end of the text and has no name. */
extern const u32 ksyms_count __attribute__((weak));
extern const u32 ksyms_offsets[] __attribute__((weak));
extern const u32 ksyms_name_at[] __attribute__((weak));
extern const char ksyms_names[] __attribute__((weak));
extern char __text_start[];

/* The last symbol that is not above off; -1: none. */
static int find(u64 off)
{
	int lo = 0, hi = (int)ksyms_count - 1;

	if (off >= ksyms_offsets[hi + 1] || hi < 0 || off < ksyms_offsets[0])
		return -1;
	while (lo < hi) {
		int mid = (lo + hi + 1) / 2;

		if (ksyms_offsets[mid] <= off)
			lo = mid;
		else
			hi = mid - 1;
	}
	return lo;
}

void print_symbol(char *buf, size_t size, u64 addr)
{
	u64 off = addr - (u64)__text_start;
	int i = &ksyms_count ? find(off) : -1;

	if (i < 0)
		snprintf(buf, size, "0x%lx", addr);
	else
		snprintf(buf, size, "%s+0x%lx/0x%x", ksyms_names + ksyms_name_at[i],
			 off - ksyms_offsets[i], ksyms_offsets[i + 1] - ksyms_offsets[i]);
}
