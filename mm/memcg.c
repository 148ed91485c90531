/*
 * memcg.c - memory control groups: their life, their limits, and which is active
 * (anyctx/memcg.h).
 *
 * Groups are slots of a fixed table, so a pointer to one is never wild, and who is late
 * with a look at one that has ended does no harm. `life` says all: references (the
 * callers', and one for each child), live or not, and a generation. A group ends by one
 * swap of that word from {no reference, live} to {not live}, by whoever finds its count 0
 * then. Nobody charges a group without a reference, so a count of 0 stays so; the
 * generation tells a slot that has been used again.
 *
 * All functions: any context. There is no lock and no memory to be had or freed.
 */
#include "mm/memcg.h"
#include "lib/string.h"

struct mem_cgroup groups[MEMCG_MAX_GROUPS + 1];

static bool bad_group(const char *call, const struct mem_cgroup *g)
{
	u64 off = (u64)g - (u64)groups;

	if (likely(off >= sizeof(*g) && off < sizeof(groups) && off % sizeof(*g) == 0 && LIFE_REFS(load(&g->life))))
		return false;
	mm_report(call, g, "not a group, or nobody has a reference to it");
	return true;
}

/* ------------------------------------------------------------------ life */

static struct mem_cgroup *slot_take(void)
{
	for (unsigned int i = 1; i <= MEMCG_MAX_GROUPS; i++) {
		u64 life = load(&groups[i].life);

		if (!(life & LIFE_LIVE) && cas(&groups[i].life, life, (life + LIFE_GENERATION) | LIFE_LIVE | 1))
			return &groups[i];
	}
	return NULL;
}

struct mem_cgroup *mem_cgroup_create(struct mem_cgroup *parent, const char *name)
{
	struct mem_cgroup *g;

	if (parent && bad_group("mem_cgroup_create", parent))
		return NULL;
	if (!name || !*name || strlen(name) >= sizeof(g->name)) {
		mm_report("mem_cgroup_create", name, "no name, or one longer than 27 characters");
		return NULL;
	}
	if (parent && parent->depth + 1 >= MEMCG_MAX_DEPTH) {
		mm_report("mem_cgroup_create", parent, "%s: below it would be too deep", parent->name);
		return NULL;
	}
	g = slot_take();
	if (!g)
		return NULL;
	mem_cgroup_get(parent);
	WRITE_ONCE(g->parent, parent);
	g->depth = parent ? parent->depth + 1 : 0;
	memcpy(g->name, name, strlen(name) + 1);
	__atomic_store_n(&g->limit, MEMCG_NO_LIMIT, __ATOMIC_RELAXED);
	__atomic_store_n(&g->watermark, watermark_begin(load(&g->life)), __ATOMIC_SEQ_CST);
	__atomic_store_n(&g->failcnt, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&g->full, g->full & ~1UL, __ATOMIC_RELEASE);
	return g;
}

void mem_cgroup_get(struct mem_cgroup *g)
{
	if (g && !bad_group("mem_cgroup_get", g))
		__atomic_fetch_add(&g->life, 1, __ATOMIC_SEQ_CST);
}

/* true: it was the last reference; then the group must not keep anything charged. */
static bool ref_drop(struct mem_cgroup *g)
{
	if (LIFE_REFS(__atomic_sub_fetch(&g->life, 1, __ATOMIC_SEQ_CST)))
		return false;
	memcg_drain(g);
	return true;
}

/* Its slot is free; and the parent loses a child, which may be its end as well. */
void memcg_may_end(struct mem_cgroup *g)
{
	do {
		u64 life = load(&g->life);
		struct mem_cgroup *parent = READ_ONCE(g->parent);

		if (LIFE_REFS(life) || !(life & LIFE_LIVE) || charge_word(&g->count) & WORD_VALUE)
			return;
		if (!cas(&g->life, life, life & ~LIFE_LIVE))
			return;
		g = parent;
	} while (g && ref_drop(g));
}

void mem_cgroup_put(struct mem_cgroup *g)
{
	if (g && !bad_group("mem_cgroup_put", g) && ref_drop(g))
		memcg_may_end(g);
}

/* ---------------------------------------------------------- limits, counts */

/* What was charged in advance may be above it now. */
void mem_cgroup_set_limit(struct mem_cgroup *g, u64 bytes)
{
	if (bad_group("mem_cgroup_set_limit", g))
		return;
	__atomic_store_n(&g->limit, bytes == MEMCG_NO_LIMIT ? bytes : bytes >> UNIT_SHIFT, __ATOMIC_SEQ_CST);
	memcg_full_set(g);
	memcg_drain(g);
	memcg_full_clear(g);
}

u64 mem_cgroup_limit(const struct mem_cgroup *g)
{
	u64 limit = bad_group("mem_cgroup_limit", g) ? 0 : load(&g->limit);

	return limit == MEMCG_NO_LIMIT ? limit : limit << UNIT_SHIFT;
}

u64 mem_cgroup_usage(struct mem_cgroup *g)
{
	u64 stocked, count;

	if (bad_group("mem_cgroup_usage", g))
		return 0;
	stocked = memcg_stocked(g);
	count = charge_word(&g->count) & WORD_VALUE;
	return count > stocked ? (count - stocked) << UNIT_SHIFT : 0;
}

u64 mem_cgroup_watermark(const struct mem_cgroup *g)
{
	return bad_group("mem_cgroup_watermark", g) ? 0 : (load(&g->watermark) & WORD_VALUE) << UNIT_SHIFT;
}

u64 mem_cgroup_failcnt(const struct mem_cgroup *g)
{
	return bad_group("mem_cgroup_failcnt", g) ? 0 : load(&g->failcnt);
}

const char *mem_cgroup_name(const struct mem_cgroup *g)
{
	return bad_group("mem_cgroup_name", g) ? "" : g->name;
}

/* ---------------------------------------------------------------- active */

/* A nested one of the same kind puts back what it found, so plain accesses do. */
static struct mem_cgroup **active_slot(void)
{
	return &this_cpu_ptr(memcg_cpu)->active[current_context()];
}

struct mem_cgroup *active_memcg(void)
{
	struct mem_cgroup *g;

	preempt_disable(); /* another thread's is in the slot else */
	g = READ_ONCE(*active_slot());
	preempt_enable();
	return g;
}

struct mem_cgroup *set_active_memcg(struct mem_cgroup *g)
{
	bool good = !g || !bad_group("set_active_memcg", g);
	struct mem_cgroup **slot, *was;

	preempt_disable();
	slot = active_slot();
	was = READ_ONCE(*slot);
	if (good)
		WRITE_ONCE(*slot, g);
	preempt_enable();
	return was;
}

struct mem_cgroup *memcg_switch(struct mem_cgroup *next)
{
	struct mem_cgroup **slot = &this_cpu_ptr(memcg_cpu)->active[CTX_THREAD], *was = READ_ONCE(*slot);

	WRITE_ONCE(*slot, next);
	return was;
}
