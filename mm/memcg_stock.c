/*
 * memcg_stock.c - charging and giving back: by what this CPU has charged in advance, and
 * what becomes of that when a limit is met.
 *
 * Each CPU has one stock, {group, units}: charged to the group and all above it, used by
 * nobody yet. Most charges are one compare-and-swap of it. It is a locked one, so that
 * who meets a limit takes what other CPUs have without asking them, in any context. A
 * stock is filled and emptied by a charge of memcg_charge.c, together with the counts; so
 * there is no moment at which units are in nobody's hands.
 *
 * Why a failure is exact. Who is refused by a limit marks that group full, drains all
 * stocks below it, and tries again. While it is full nobody fills a stock there: that
 * looks at the mark after it has got hold of the stock's word, and who drains has looked
 * at that word after it has set the mark, and helped whoever held it. A free that has
 * put units into a stock looks at the mark again, and drains it. So if the same limit
 * refuses once more, and the group has been full all the time, all that is charged is in
 * use, or its free has not returned yet.
 *
 * All functions: any context.
 */
#include "mm/memcg.h"
#include "mm/mm.h"
#include <arch/local.h>

/* Filled with, and what a stock may hold; a group that has been full keeps none until
 * there is room for so much. */
#define STOCK_FILL (MEMCG_STOCK_BYTES / 2 >> UNIT_SHIFT)
#define STOCK_MOST (MEMCG_STOCK_BYTES >> UNIT_SHIFT)
#define STOCK_ROOM (4 * STOCK_MOST)
#define CHARGE_TRIES 32

static u64 *my_stock(void)
{
	return &this_cpu_ptr(memcg_cpu)->stock;
}

/* ---------------------------------------------------------- full, or not */

u64 memcg_full_set(struct mem_cgroup *g)
{
	u64 v;

	while (!((v = load(&g->full)) & 1) && !cas(&g->full, v, v + 1))
		;
	return v | 1;
}

static bool has_room(const struct mem_cgroup *g)
{
	return (load(&g->count) & WORD_VALUE) + STOCK_ROOM <= load(&g->limit);
}

void memcg_full_clear(struct mem_cgroup *g)
{
	u64 v = load(&g->full);

	if (unlikely(v & 1) && has_room(g))
		cas(&g->full, v, v + 1);
}

/* Is there to be no stock of the group? Also if nobody will charge it again. */
static bool keeps_none(const struct mem_cgroup *g)
{
	if (memcg_orphan(g))
		return true;
	for (unsigned int i = 0; g && i < MEMCG_MAX_DEPTH; g = READ_ONCE(g->parent), i++)
		if (load(&g->full) & 1)
			return true;
	return false;
}

/* ---------------------------------------------------------------- stocks */

static bool stock_take(const struct mem_cgroup *g, u64 units)
{
	u64 *stock = my_stock(), w;

	do {
		w = charge_word(stock);
		if (STOCK_GROUP(w) != group_id(g) || STOCK_UNITS(w) < units)
			return false;
	} while (!cas(stock, w, w - units));
	return true;
}

static bool stock_give(const struct mem_cgroup *g, u64 units)
{
	u64 *stock = my_stock(), w, had;

	do {
		w = charge_word(stock);
		had = STOCK_UNITS(w);
		if ((had && STOCK_GROUP(w) != group_id(g)) || had + units > STOCK_MOST)
			return false;
	} while (!cas(stock, w, (w & ~WORD_VALUE) | group_id(g) << 20 | (had + units)));
	return true;
}

static bool is_below(const struct mem_cgroup *g, const struct mem_cgroup *top)
{
	for (unsigned int i = 0; g && i < MEMCG_MAX_DEPTH; g = READ_ONCE(g->parent), i++)
		if (g == top)
			return true;
	return false;
}

/* What the stock of cpu holds of the group or below; 0: nothing. A group in a stock lives
 * as long as the stock is unchanged. */
static u64 stock_below(unsigned int cpu, const struct mem_cgroup *top)
{
	u64 *stock = &per_cpu_ptr(memcg_cpu, cpu)->stock, w;
	bool below;

	do {
		w = charge_word(stock);
		below = STOCK_UNITS(w) && is_below(&groups[STOCK_GROUP(w)], top);
	} while (load(stock) != w);
	return below ? w & WORD_VALUE : 0;
}

/* Empty it: its group may be at its end by that. */
static void drain_stock(unsigned int cpu, u64 v)
{
	charge_drain(cpu, v);
	memcg_may_end(&groups[STOCK_GROUP(v)]);
}

void memcg_drain(const struct mem_cgroup *g)
{
	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++) {
		u64 v;

		/* Again if it was changed meanwhile: its CPU has taken some. */
		while ((v = stock_below(c, g)))
			drain_stock(c, v);
	}
}

u64 memcg_stocked(const struct mem_cgroup *g)
{
	u64 units = 0;

	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++)
		units += STOCK_UNITS(stock_below(c, g));
	return units;
}

/* ------------------------------------------------- charging, giving back */

/* More for this CPU's stock, which becomes this group's. */
static bool stock_fill(struct mem_cgroup *g)
{
	u64 w = charge_word(my_stock());
	struct mem_cgroup *by;

	if (keeps_none(g))
		return false;
	if (STOCK_UNITS(w) && STOCK_GROUP(w) != group_id(g))
		drain_stock(smp_processor_id(), w & WORD_VALUE);
	by = charge_stock(g, STOCK_FILL);
	if (by && !has_room(by))
		memcg_full_set(by); /* do not try again each time */
	return !by;
}

static void count_refused(struct mem_cgroup *by)
{
	u64 *here;

	__atomic_fetch_add(&by->failcnt, 1, __ATOMIC_RELAXED);
	preempt_disable();
	here = &this_cpu_ptr(memcg_cpu)->refused[current_context()];
	WRITE_ONCE(*here, *here + 1);
	preempt_enable();
}

u64 mm_refused_here(void)
{
	return READ_ONCE(this_cpu_ptr(memcg_cpu)->refused[current_context()]);
}

static bool charge_exactly(struct mem_cgroup *g, u64 units)
{
	struct mem_cgroup *by = charge_all(g, units), *drained = NULL;
	u64 full = 0;

	for (unsigned int i = 0; by && i < CHARGE_TRIES; i++) {
		if (by == drained && load(&by->full) == full)
			break;
		full = memcg_full_set(by);
		memcg_drain(by);
		drained = by;
		by = charge_all(g, units);
	}
	if (by)
		count_refused(by);
	return !by;
}

bool memcg_charge(struct mem_cgroup *g, u64 units)
{
	if (likely(stock_take(g, units)))
		return true;
	if (units <= STOCK_FILL && stock_fill(g) && stock_take(g, units))
		return true;
	return charge_exactly(g, units);
}

/* One group after the other: a count that is still too high is that of a free that has
 * not returned. */
static void give_back(struct mem_cgroup *g, u64 units)
{
	while (g) {
		struct mem_cgroup *parent = g->parent; /* g may end by this, parent does not before its turn */

		charge_drop(g, units);
		memcg_full_clear(g);
		memcg_may_end(g);
		g = parent;
	}
}

void memcg_uncharge(struct mem_cgroup *g, u64 units)
{
	if (keeps_none(g) || !stock_give(g, units)) {
		give_back(g, units);
		return;
	}
	if (unlikely(keeps_none(g)))
		memcg_drain(g);
}
