/*
 * early.h - memory before the page layer is up: taken, never given back.
 */
#ifndef MM_EARLY_H
#define MM_EARLY_H

#include <anyctx/types.h>

/*
 * size bytes of zeroed physical memory, aligned to align (a power of two, at
 * least 4096 is used), cut from mem_ranges[]; its physical address. Panics with
 * the figures if there is none. CPU 0, before mm_init() only. Memory above
 * `limit` is not touched (early_set_limit: what the boot page tables reach).
 */
u64 early_alloc(u64 size, u64 align);
void early_set_limit(u64 limit);

#endif
