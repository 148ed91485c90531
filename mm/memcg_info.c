/*
 * memcg_info.c - the groups' counts compared with who pays for what: for a machine at
 * rest, as check.c, which calls it. And a table of the groups, for any time.
 */
#include "mm/memcg.h"
#include "kernel/printk.h"
#include "mm/mm.h"

static void add_slab(const struct page *head, u64 *paid)
{
	const struct kmem_cache *s = cache_at(page_cpu_off(head));
	const u8 *owners = memcg_owners(s, head);

	for (unsigned int i = 0; i < slab_objects(s, head->order); i++)
		paid[owners[i]] += object_units(s);
}

/* What each group pays for itself, by a look at all that there is. */
static void add_all(u64 *paid)
{
	for (u64 pfn = 0; pfn < max_pfn; pfn++) {
		const struct page *page = pfn_page(pfn);

		if (is_paid(page->type))
			paid[page->owner] += block_units(page->order);
		else if (page->type == PT_SLAB && !page->tail && cache_at(page_cpu_off(page))->flags & SLAB_ACCOUNT)
			add_slab(page, paid);
	}
}

/* And what is in stock for it. */
static void add_stocks(u64 *paid, void (*differ)(const char *what, u64 id, u64 is, u64 should))
{
	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++) {
		const struct memcg_cpu *mc = per_cpu_ptr(memcg_cpu, c);

		if (mc->op)
			differ("charge under way on a CPU", c, mc->op, 0);
		if (mc->stock & WORD_HELD)
			differ("stock held by a charge", c, mc->stock, 0);
		if (STOCK_UNITS(mc->stock))
			paid[STOCK_GROUP(mc->stock)] += STOCK_UNITS(mc->stock);
	}
}

static void check_group(struct mem_cgroup *g, u64 paid, void (*differ)(const char *what, u64 id, u64 is, u64 should))
{
	u64 count = g->count & WORD_VALUE, id = group_id(g);

	if (g->count & WORD_HELD)
		differ("count of a group held by a charge", id, g->count, count);
	if (count != paid)
		differ("units charged to a group", id, count, paid);
	if ((g->watermark & WORD_VALUE) < count)
		differ("watermark of a group", id, g->watermark & WORD_VALUE, count);
	if (!(g->life & LIFE_LIVE) && (count || LIFE_REFS(g->life)))
		differ("a group that has ended", id, count, 0);
	if (g->life & LIFE_LIVE && !count && !LIFE_REFS(g->life))
		differ("a group that should have ended", id, 1, 0);
}

void memcg_check(void (*differ)(const char *what, u64 id, u64 is, u64 should))
{
	static u64 paid[MEMCG_MAX_GROUPS + 1], sum[MEMCG_MAX_GROUPS + 1];

	for (unsigned int i = 0; i <= MEMCG_MAX_GROUPS; i++)
		paid[i] = sum[i] = 0;
	add_all(paid);
	add_stocks(paid, differ);
	for (unsigned int i = 1; i <= MEMCG_MAX_GROUPS; i++) {
		if (!paid[i])
			continue;
		if (!(groups[i].life & LIFE_LIVE))
			differ("a group that has ended pays", i, paid[i], 0);
		for (struct mem_cgroup *g = &groups[i]; g; g = g->parent)
			sum[group_id(g)] += paid[i];
	}
	for (unsigned int i = 1; i <= MEMCG_MAX_GROUPS; i++)
		check_group(&groups[i], sum[i], differ);
}

void mm_print_memcg(void)
{
	printk("%-28s %6s %12s %12s %12s %10s\n", "group", "depth", "in use", "at most", "limit", "refused");
	for (unsigned int i = 1; i <= MEMCG_MAX_GROUPS; i++) {
		struct mem_cgroup *g = &groups[i];

		if (LIFE_REFS(load(&g->life)))
			printk("%-28s %6u %12lu %12lu %12ld %10lu\n", g->name, g->depth, mem_cgroup_usage(g),
			       mem_cgroup_watermark(g), (long)mem_cgroup_limit(g), mem_cgroup_failcnt(g));
	}
}
