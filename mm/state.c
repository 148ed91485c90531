/*
 * state.c - what a panic tells of the allocator: the counters, what each CPU keeps and
 * has under way, and the slabs of each cache.
 *
 * It may find any state, so it goes by words at fixed places only: per-CPU counters and
 * the table of caches. A pointer found there is followed only if it is the one that was
 * put there at start. No lock, nothing written, no walk. While others are stopped and
 * nothing is under way here the figures are exact; else they are off by that. Any context,
 * any instruction. mm_print_walk tells the same by a walk of everything, to compare: at rest,
 * one caller at a time.
 */
#include "kernel/printk.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include <anyctx/smp.h>

static u64 cached_by(unsigned int cpu, unsigned int *damaged)
{
	u64 n = 0;

	for (u32 id = 1; id < MAX_CACHES; id++) {
		u64 count = caches[id].live ? magazine_count_checked(&caches[id], cpu) : 0;

		if (count == MAGAZINE_DAMAGED)
			++*damaged;
		else
			n += count;
	}
	return n;
}

static void print_cpu(unsigned int cpu)
{
	unsigned int damaged = 0;
	u64 objects = cached_by(cpu, &damaged);

	printk("  CPU %u keeps %lu pages, %lu objects, %lu frees for later; in hand: %u slabs%s%s\n", cpu,
	       page_private(cpu), objects, defer_count(cpu), hands_open_on(cpu),
	       hint_open_on(cpu) ? ", a change of the map" : "", words_open_on(cpu) ? ", pages held for a block" : "");
	if (damaged)
		printk("  CPU %u: %u magazines are damaged and were not looked at\n", cpu, damaged);
}

static void print_cache(u32 id)
{
	u64 slabs = 0, objects = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++) {
		u64 count = magazine_count_checked(&caches[id], c);

		slabs += READ_ONCE(per_cpu_ptr(cache_cpu[id], c)->slabs);
		objects += count == MAGAZINE_DAMAGED ? 0 : count;
	}
	if (slabs)
		printk("  cache %.*s: %lu slabs, %lu objects kept by CPUs\n", (int)sizeof(caches[id].name), caches[id].name,
		       slabs, objects);
}

void mm_print_walk(void)
{
	static struct walk w;
	u64 out = 0;

	walk_all(&w, NULL);
	for (u32 id = 1; id < MAX_CACHES; id++)
		out += w.objects[id] - w.idle[id];
	printk("walk: %lu pages free, %lu of them private; in slabs %lu, in kmalloc blocks %lu, in page blocks %lu\n",
	       w.free + w.private, w.private, w.pages[PT_SLAB], w.pages[PT_LARGE] + w.pages[PT_LARGE_PAID],
	       w.pages[PT_BLOCK] + w.pages[PT_BLOCK_PAID]);
	printk("walk: %lu objects are not in their slabs\n", out);
	for (u32 id = 1; id < MAX_CACHES; id++)
		if (caches[id].live && w.slabs[id])
			printk("walk: cache %.*s: %lu slabs\n", (int)sizeof(caches[id].name), caches[id].name, w.slabs[id]);
}

void mm_print_state(void)
{
	mm_print_meminfo();
	printk("  %s: little memory is below %lu pages, until there are %lu\n", mm_tight ? "tight" : "not tight", tight_low,
	       tight_high);
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		print_cpu(c);
	for (u32 id = 1; id < MAX_CACHES; id++)
		if (caches[id].live)
			print_cache(id);
}
