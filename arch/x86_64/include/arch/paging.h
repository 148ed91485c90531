/*
 * arch/paging.h - mapping kernel pages. One CPU at a time, thread context,
 * while booting or under the caller's lock.
 */
#ifndef ARCH_PAGING_H
#define ARCH_PAGING_H

#include <anyctx/types.h>

#define PROT_R 0
#define PROT_W 1 /* never executable: only the kernel text is */

/* Map one page, 4 KiB or 2 MiB (both addresses aligned to it); page tables
 * come from early_alloc. Not for addresses that are mapped already. */
void arch_map_4k(u64 va, u64 pa, int prot);
void arch_map_2m(u64 va, u64 pa, int prot);
/* Is the page of va mapped? Any context. */
bool arch_is_mapped(const void *va);
/*
 * Read 8 bytes at any address, mapped or not: false if it faulted. Any context;
 * a fault is caught by the exception table, never a panic.
 */
bool arch_probe_read64(const void *va, u64 *out);
/* Is va inside the kernel image (text, rodata, data, bss)? */
bool arch_in_kernel_image(const void *va);

#endif
