/*
 * bootmark.c - the clock at the end of each part of the boot (bootmark.h). CPU 0 alone
 * writes, and only while booting.
 */
#include "kernel/bootmark.h"
#include <arch/cpu.h>

struct boot_mark boot_marks[MAX_BOOT_MARKS];
unsigned int nr_boot_marks;

void boot_mark(const char *part)
{
	if (nr_boot_marks < MAX_BOOT_MARKS)
		boot_marks[nr_boot_marks++] = (struct boot_mark){ part, arch_rdtsc() };
}
