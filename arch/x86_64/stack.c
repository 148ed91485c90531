/*
 * stack.c - kernel stacks, each with an unmapped guard page below it.
 *
 * Invariant: the stack area holds nothing but stacks and guard pages, so within
 * what is in use an unmapped page is a guard page. Allocation: CPU 0 while
 * booting, never freed. Questions: any context.
 */
#include <arch/paging.h>
#include <arch/switch.h>
#include "mm/early.h"
#include "mm/kasan/kasan.h"
#include "private.h"

#define STACK_AREA_BASE 0xffffc90000000000UL

static u64 next = STACK_AREA_BASE;

void *stack_alloc_size(u64 size)
{
	u64 base = next + PAGE_SIZE; /* the guard page stays unmapped */

	for (u64 off = 0; off < size; off += PAGE_SIZE)
		arch_map_4k(base + off, early_alloc(PAGE_SIZE, PAGE_SIZE), PROT_W);
	if (CONFIG_KASAN)
		kasan_map_stacks(STACK_AREA_BASE, base + size);
	WRITE_ONCE(next, base + size);
	return (void *)(base + size);
}

void *stack_alloc(void)
{
	return stack_alloc_size(KERNEL_STACK_SIZE);
}

void *arch_stack_alloc(void)
{
	return stack_alloc();
}

static bool in_area(u64 p)
{
	return p >= STACK_AREA_BASE && p < READ_ONCE(next);
}

bool stack_is_guard(u64 p)
{
	return in_area(p) && !arch_is_mapped((void *)p);
}

bool stack_contains(u64 p, u64 size)
{
	u64 last = p + size - 1;

	if (p >= (u64)boot_stack && last < (u64)boot_stack_top)
		return true;
	return in_area(p) && in_area(last) && arch_is_mapped((void *)p) &&
	       arch_is_mapped((void *)last);
}
