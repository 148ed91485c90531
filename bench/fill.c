/*
 * fill.c - filling memory (fill.h). CPU 0, thread context; the load on all CPUs at once.
 */
#include "bench/fill.h"
#include "kernel/hooks.h"
#include "lib/random.h"
#include <anyctx/slab.h>
#include <anyctx/smp.h>

/* ---- filled with pages: chains through their first words, large blocks and single pages */

static void **chain[2];
static const unsigned int chain_order[2] = { MAX_ORDER, 0 };

static void take_down_to(unsigned int i, u64 pages)
{
	while (nr_free_pages() > pages + (1UL << chain_order[i])) {
		struct page *page = alloc_pages(GFP_NOWAIT, chain_order[i]);
		void **block;

		if (!page)
			return;
		block = page_address(page);
		*block = chain[i];
		chain[i] = block;
	}
}

void fill_to(unsigned int percent)
{
	u64 leave = nr_managed_pages() * (100 - percent) / 100;

	take_down_to(0, leave);
	take_down_to(1, leave);
}

void fill_end(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		while (chain[i]) {
			void **block = chain[i];

			chain[i] = *block;
			free_pages(virt_to_page(block), chain_order[i]);
		}
	}
}

/* ---- used at random */

#define LOAD_SLOTS 16384
#define LOAD_OPS 200000

static void *held[LOAD_SLOTS];

/* Small sizes often, large ones seldom: 8 bytes to 2^21. */
static size_t random_size(struct rng *r)
{
	unsigned int shift = 3 + (unsigned int)((rng_next(r) & rng_next(r) & 15) + rng_below(r, 4));

	return (1UL << shift) + rng_below(r, 1UL << shift);
}

static u64 load_ops(void)
{
	return LOAD_OPS / num_online_cpus() + 500;
}

/* At most half of memory, so that there is a choice of where to take it from. */
static void load_here(void *unused)
{
	struct rng r;

	(void)unused;
	rng_init(&r, smp_processor_id());
	for (u64 i = load_ops(); i--;) {
		void **slot = &held[rng_below(&r, LOAD_SLOTS)], *p = NULL;
		size_t size = random_size(&r);

		if (nr_free_pages() > nr_managed_pages() / 2)
			p = kmalloc(size, GFP_NOWAIT);
		kfree(__atomic_exchange_n(slot, p, __ATOMIC_ACQ_REL));
	}
}

void load_run(void)
{
	on_each_cpu_thread(load_here, NULL);
	for (unsigned int i = 0; i < LOAD_SLOTS; i += 2) {
		kfree(held[i]);
		held[i] = NULL;
	}
}

void load_end(void)
{
	for (unsigned int i = 0; i < LOAD_SLOTS; i++) {
		kfree(held[i]);
		held[i] = NULL;
	}
}
