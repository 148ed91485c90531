/*
 * bound.c - how many instructions a call takes at most (docs/design.md, "How long a
 * call takes", argues each number). Any context.
 */
#include "mm/internal.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

/* A line looked at, word by word, for any order, and its three hints mended; and for each
 * CPU, as their counts are added up. */
#define LINE_INSNS 4000UL
#define LINE_CPU_INSNS 40UL
#define STEP_INSNS 100UL   /* a slab looked at for one object by a walk, and left */
#define HANDS_INSNS 500UL  /* the slabs in the hands of one CPU's calls */
#define OBJECT_INSNS 60UL  /* an object on its way from a magazine to its slab */
#define SLAB_INSNS 400UL   /* a slab looked at by a trim, and released */
#define ASK_INSNS (500UL + MAX_CACHES * 30UL) /* does a CPU hold anything, and an NMI to it */
#define POLL_INSNS 100UL   /* one poll for an answer */
#define CALL_INSNS 20000UL /* all the rest, a flush of 64 and a new slab of 1,000 objects included */
#define CHARGE_INSNS 100000UL /* paid for by a group: a charge that is refused 32 times, each time with a drain */
#define STACKS 2UL            /* of slabs, for each cache and node */
#define SLAB_ORDERS 2UL       /* that a new slab is tried with */
#define WALKS 3UL             /* by all ways there are to an object of a slab that there is */

/* Looks at the map, by all ways there are, that one attempt to get pages begins with; two of
 * them are the last, and one is of an object that is wanted on a node: each node by itself. */
#define PAGE_LOOKS 13UL
#define LAST_LOOKS 2UL
/* take_last_look and page_find_free together, when they go by all hints and without them. */
#define LONG_LOOKS 5UL

/* How often the same is done again. */
struct repeats {
	u64 looks;    /* at the map, of one attempt to get pages */
	u64 walks;    /* over all stacks, by each way */
	u64 attempts; /* to get an object */
	u64 reclaims;
};

/* Alone, a reclaim finds something twice at most: what was cached, then slabs that
 * became empty by that. So there are three attempts, with two looks each after the first. */
static const struct repeats alone = {
	.looks = PAGE_LOOKS + 2 * LAST_LOOKS,
	.walks = 1,
	.attempts = 3,
	.reclaims = 3,
};

/* Among others, who free what this call has looked for in vain: as often as the loops allow. */
static const struct repeats among = {
	.looks = PAGE_LOOKS + (1 + RECLAIM_TRIES) * MAP_LOOK_TRIES * LONG_LOOKS,
	.walks = STACK_LOOK_TRIES,
	.attempts = 1 + ALLOC_TRIES,
	.reclaims = ALLOC_TRIES + (1 + ALLOC_TRIES) * RECLAIM_TRIES,
};

/* CONFIG=kasan: before each access a check, of so many instructions with it at most. */
#define CHECK_INSNS 30UL
/* And a block's shadow is written, eight bytes at a time, and a track for each page. */
#define BLOCK_SHADOW_INSNS (2 * (PAGE_SIZE << MAX_ORDER) / 64 + 40 * (1UL << MAX_ORDER))

/* What a reclaim gives back: all that this CPU keeps, and each slab there may be. */
static u64 reclaim_insns(u64 cpus)
{
	u64 objects = DEFER_MAX, slabs = managed_pages;

	for (u32 i = 1; i < MAX_CACHES; i++)
		if (__atomic_load_n(&caches[i].live, __ATOMIC_ACQUIRE))
			objects += caches[i].limit;
	return objects * OBJECT_INSNS + slabs * SLAB_INSNS + cpus * ASK_INSNS;
}

/* What there is to do if each compare-and-swap is done once. */
static u64 work_insns(const struct repeats *r, u64 cpus)
{
	u64 look = nr_lines * (LINE_INSNS + cpus * LINE_CPU_INSNS);
	u64 walk = STACKS * num_nodes() * managed_pages * STEP_INSNS + cpus * HANDS_INSNS;
	u64 attempt = SLAB_ORDERS * r->looks * look + WALKS * r->walks * walk;

	return CALL_INSNS + cpus * CHARGE_INSNS + r->attempts * attempt + r->reclaims * reclaim_insns(cpus);
}

/* Of `cpus` CPUs that change the same word each has its turn in as many rounds: no loop around
 * a compare-and-swap is longer. */
u64 mm_call_bound(unsigned int cpus)
{
	u64 n = work_insns(cpus > 1 ? &among : &alone, cpus) * cpus;

	if (CONFIG_KASAN)
		n = n * CHECK_INSNS + BLOCK_SHADOW_INSNS;
	return n + (cpus > 1 ? among.reclaims * ASK_POLLS * POLL_INSNS : 0);
}
