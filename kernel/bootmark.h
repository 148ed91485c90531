/*
 * bootmark.h - when each part of the boot was over, for the benchmark of the boot.
 */
#ifndef KERNEL_BOOTMARK_H
#define KERNEL_BOOTMARK_H

#include <anyctx/types.h>

struct boot_mark {
	const char *part; /* what ended here; the first is the kernel's entry */
	u64 tsc;
};
#define MAX_BOOT_MARKS 16
extern struct boot_mark boot_marks[MAX_BOOT_MARKS];
extern unsigned int nr_boot_marks;

/* CPU 0 while booting. part: a constant. */
void boot_mark(const char *part);

#endif
