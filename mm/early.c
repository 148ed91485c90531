/*
 * early.c - memory before the page layer is up.
 *
 * Invariant: mem_ranges[] lists exactly the memory that nobody has taken.
 * Callers: CPU 0 while booting, one at a time, until mm_init() hands what is
 * left to the page layer.
 */
#include <arch/machine.h>
#include "kernel/panic.h"
#include "lib/string.h"
#include "mm/early.h"

static u64 early_limit = 1UL << 30;
static bool closed;

void early_set_limit(u64 limit)
{
	early_limit = limit;
}

/* Cut [pa, pa + size) out of range i, which holds it. */
static void range_cut(unsigned int i, u64 pa, u64 size)
{
	struct mem_range *r = &mem_ranges[i];
	u64 end = r->base + r->size, tail = end - (pa + size);

	r->size = pa - r->base;
	if (!tail)
		return;
	if (!r->size) {
		r->base = pa + size;
		r->size = tail;
		return;
	}
	if (nr_mem_ranges == MAX_MEM_RANGES)
		return; /* no slot for the rest: it stays unused */
	for (unsigned int j = nr_mem_ranges++; j > i + 1; j--)
		mem_ranges[j] = mem_ranges[j - 1];
	mem_ranges[i + 1] = (struct mem_range){ pa + size, tail, r->node };
}

u64 early_alloc(u64 size, u64 align)
{
	u64 most = 0;

	size = (size + PAGE_SIZE - 1) & PAGE_MASK;
	if (align < PAGE_SIZE)
		align = PAGE_SIZE;
	BUG_ON(closed);
	for (unsigned int i = 0; i < nr_mem_ranges; i++) {
		struct mem_range *r = &mem_ranges[i];
		u64 pa = (r->base + align - 1) & ~(align - 1);
		u64 end = r->base + r->size;

		if (end > early_limit)
			end = early_limit;
		if (r->size > most)
			most = r->size;
		if (pa < r->base || pa >= end || end - pa < size)
			continue;
		range_cut(i, pa, size);
		memset(phys_to_virt(pa), 0, size);
		return pa;
	}
	panic("early memory: %lu KiB wanted, aligned to %lu KiB; the largest range has %lu KiB. Give the machine more memory (MEM=).",
	      size >> 10, align >> 10, most >> 10);
}
