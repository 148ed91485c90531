/*
 * shadow.c - the shadow: mapping it, and saying in it what may be used.
 *
 * Invariants. (1) The shadow of a region is mapped before the region's size is set, and
 * stays: so who finds an address in a region may read its shadow. The regions are the
 * image, the direct map up to the end of RAM, and the stacks; what is elsewhere (devices,
 * page descriptors) is not checked. (2) A byte of shadow is written by the owner of the
 * eight bytes that it stands for, by plain stores: an object's by the call that takes or
 * frees it, a frame's by its function, a redzone's by who made it. A byte never stands
 * for parts of two objects.
 *
 * Poisoning and asking: any context. The others: CPU 0 while booting.
 */
#include <arch/paging.h>
#include "mm/early.h"
#include "mm/internal.h"
#include "mm/kasan/kasan.h"
#include "mm/kasan/private.h"

#define BIG_PAGE (2UL << 20)

struct kasan_region kasan_regions[NR_KASAN_REGIONS];

extern char __text_start[], __image_end[];

bool kasan_shadowed(u64 addr)
{
	return region_of(addr);
}

/* A big page where it fits. Regions come in order, so only the first page of one may be
 * there already. */
static u64 map_one(u64 at, u64 end)
{
	if (arch_is_mapped((void *)at))
		return PAGE_SIZE;
	if (!(at & (BIG_PAGE - 1)) && end - at >= BIG_PAGE) {
		arch_map_2m(at, early_alloc(BIG_PAGE, BIG_PAGE), PROT_W);
		return BIG_PAGE;
	}
	arch_map_4k(at, early_alloc(PAGE_SIZE, PAGE_SIZE), PROT_W);
	return PAGE_SIZE;
}

/* Shadow for [start, end): zeros, all may be used. */
static void map_shadow(u64 start, u64 end)
{
	u64 at = (u64)kasan_shadow(start) & PAGE_MASK, last = (u64)kasan_shadow(end - 1) | ~PAGE_MASK;

	while (at < last)
		at += map_one(at, last + 1);
}

/* The same without memory for it, as nobody poisons anything there. */
static void map_holes(u64 start, u64 end)
{
	u64 zeros = early_alloc(PAGE_SIZE, PAGE_SIZE);

	for (u64 at = (u64)kasan_shadow(start) & PAGE_MASK; at < (u64)kasan_shadow(end); at += PAGE_SIZE)
		if (!arch_is_mapped((void *)at))
			arch_map_4k(at, zeros, PROT_R);
}

static void region_set(enum kasan_region_nr r, u64 base, u64 end)
{
	kasan_regions[r].base = base;
	__atomic_store_n(&kasan_regions[r].size, end - base, __ATOMIC_RELEASE);
}

void kasan_map_stacks(u64 area, u64 end)
{
	map_shadow(area, end);
	region_set(KASAN_STACKS, area, end);
}

void kasan_map_ram(u64 base, u64 end)
{
	map_shadow(DIRECT_MAP_BASE + base, DIRECT_MAP_BASE + end);
}

void kasan_init(u64 ram_end)
{
	map_holes(DIRECT_MAP_BASE, DIRECT_MAP_BASE + ram_end);
	region_set(KASAN_DIRECT, DIRECT_MAP_BASE, DIRECT_MAP_BASE + ram_end);
	map_shadow((u64)__text_start, (u64)__image_end);
	region_set(KASAN_IMAGE, (u64)__text_start, (u64)__image_end);
	kasan_globals_init();
}

/* ---------------------------------------------------------------- changing it */

void kasan_poison(const void *p, size_t size, enum kasan_code code)
{
	shadow_poison(p, size, code);
}

void kasan_unpoison(const void *p, size_t size)
{
	shadow_unpoison(p, size);
}
