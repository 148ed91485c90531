/*
 * multiboot2.h - what a multiboot2 boot loader says, out of untrusted bytes.
 *
 * The parser (multiboot2_parse.c) is pure: it reads (bytes, length) and writes one
 * struct, so that a hosted program can call it with anything at all.
 */
#ifndef X86_MULTIBOOT2_H
#define X86_MULTIBOOT2_H

#include "kernel/cmdline.h"
#include "private.h"

#define RSDP_SIZE 36     /* of revision 2 and later */
#define RSDP_OLD_SIZE 20 /* before */

/* All zero at first. */
struct boot_info {
	char cmdline[CMDLINE_MAX + 1]; /* one too long is refused by the parser of its words */
	bool rsdp_found;
	u8 rsdp[RSDP_SIZE];
	bool have_map;
	struct span_list usable; /* RAM that nobody has; within `mapped` when it is finished */
	struct span_list mapped; /* RAM and firmware tables, whole pages */
	u64 ignored_above;       /* bytes of RAM beyond what the direct map covers */
	u64 low_page;            /* a page of RAM below LOW_RAM_END for the other CPUs' start; 0: none */
};

#define LOW_MEMORY_END (1UL << 20) /* BIOS data, the other CPUs' start code */
#define LOW_RAM_END 0xa0000UL      /* above it ROMs and the screen */

/*
 * The boot information, len bytes of which can be read: NULL, or what is wrong with
 * it. What came before that has been taken. Any context, like the others.
 */
const char *multiboot2_read(struct boot_info *b, const u8 *info, u32 len);
/* A root pointer of ACPI in the len bytes at p: true, and taken. */
bool rsdp_take(struct boot_info *b, const u8 *p, size_t len);
/*
 * After multiboot2_read, and after what is taken was cut out of b->usable: leaves there
 * what can be given out, whole pages above LOW_MEMORY_END that will be mapped.
 */
void boot_memory_finish(struct boot_info *b);

#endif
