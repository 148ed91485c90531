/*
 * pageset.c - a set of page frames as a map of bits (pageset.h). Every change is a
 * locked or or and of up to 64 frames.
 */
#include "tests/pageset.h"
#include "lib/bits.h"
#include "mm/internal.h"

static u64 *set;

static u64 words(void)
{
	return (max_pfn + 63) / 64;
}

bool pageset_begin(void)
{
	set = kzalloc(words() * sizeof(u64), GFP_KERNEL);
	return set;
}

void pageset_end(void)
{
	kfree(set);
	set = NULL;
}

static unsigned int ones(u64 v)
{
	return popcount32((u32)v) + popcount32((u32)(v >> 32));
}

static u64 block_mask(u64 pfn, unsigned int order)
{
	return order >= 6 ? ~0UL : ((1UL << (1u << order)) - 1) << (pfn & 63);
}

unsigned int pageset_add(const struct page *page, unsigned int order)
{
	u64 pfn = page_to_pfn(page), mask = block_mask(pfn, order), end = pfn + (1UL << order);
	unsigned int there = 0;

	for (; pfn < end; pfn += 64)
		there += ones(__atomic_fetch_or(&set[pfn / 64], mask, __ATOMIC_RELAXED) & mask);
	return there;
}

unsigned int pageset_remove(const struct page *page, unsigned int order)
{
	u64 pfn = page_to_pfn(page), mask = block_mask(pfn, order), end = pfn + (1UL << order);
	unsigned int missing = 0;

	for (; pfn < end; pfn += 64)
		missing += ones(~__atomic_fetch_and(&set[pfn / 64], ~mask, __ATOMIC_RELAXED) & mask);
	return missing;
}

struct page *pageset_next(u64 pfn)
{
	for (; pfn < max_pfn; pfn = (pfn | 63) + 1) {
		u64 v = set[pfn / 64] >> (pfn & 63);

		if (v)
			return pfn_page(pfn + (u64)__builtin_ctzl(v));
	}
	return NULL;
}

u64 pageset_count(void)
{
	u64 n = 0;

	for (u64 i = 0; i < words(); i++)
		n += ones(set[i]);
	return n;
}
