/*
 * memcg_alloc.c - objects and blocks that a group pays for: charged before they are
 * allocated, given back before they are freed.
 *
 * Who pays is one byte, the group's number, written by whoever has the object or block:
 * for a block in its head's descriptor, whose type says that there is one; for an object
 * in its slab, behind the objects, a byte for each. So nothing is allocated for it,
 * nothing can fail or recurse. It is 0 while the object is free; the free takes it out by
 * one swap, so that even two frees at once give back once.
 *
 * Caches with SLAB_ACCOUNT have no magazines: they stay closed, so the short ways refuse
 * each call, and all come here by cache_alloc_slow and free_uncommon.
 *
 * All functions: any context.
 */
#include "mm/memcg.h"
#include "lib/string.h"

static u8 owner_take(u8 *owner)
{
	return __atomic_exchange_n(owner, 0, __ATOMIC_ACQ_REL);
}

/* --------------------------------------------------------------- objects */

void memcg_slab_begin(const struct kmem_cache *s, struct page *head, unsigned int n)
{
	u8 *owners = memcg_owners(s, head);

	sanitize_alloc(owners, (n + 7) & ~7u, true);
	memset(owners, 0, n);
}

void *memcg_object_alloc(struct kmem_cache *s, gfp_t gfp, int nid)
{
	struct mem_cgroup *g = active_memcg();
	struct page *head;
	void *obj;

	if (g && !memcg_charge(g, object_units(s)))
		return NULL;
	obj = cache_alloc_unpaid(s, gfp, nid);
	if (!g)
		return obj;
	if (!obj) {
		memcg_uncharge(g, object_units(s));
		return NULL;
	}
	head = obj_slab(obj);
	memcg_owners(s, head)[slab_index(s, head, obj)] = (u8)group_id(g);
	return obj;
}

void memcg_object_freed(struct kmem_cache *s, struct page *head, unsigned int idx)
{
	u8 id = owner_take(&memcg_owners(s, head)[idx]);

	if (id)
		memcg_uncharge(&groups[id], object_units(s));
}

/* ---------------------------------------------------------------- blocks */

struct page *memcg_block_alloc(gfp_t gfp, int nid, unsigned int order, u32 refcount, enum page_type type)
{
	struct mem_cgroup *g = gfp & __GFP_ACCOUNT ? active_memcg() : NULL;
	struct page *page;

	if (g && !memcg_charge(g, block_units(order)))
		return NULL;
	page = page_alloc(gfp, nid, order, refcount, g ? paid_type(type) : type);
	if (page && g)
		page->owner = (u8)group_id(g);
	else if (g)
		memcg_uncharge(g, block_units(order));
	if (!page)
		count_failure();
	return page;
}

void memcg_block_freed(struct page *page, unsigned int order)
{
	u8 id = owner_take(&page->owner);

	if (id)
		memcg_uncharge(&groups[id], block_units(order));
}

/* ------------------------------------------------------------- asking */

struct mem_cgroup *mem_cgroup_from_obj(const void *p)
{
	u64 pfn = addr_pfn(p);
	const struct page *page = pfn_page(pfn);
	u8 id = 0;

	if (ZERO_OR_NULL_PTR(p) || pfn >= max_pfn)
		return NULL;
	if (is_paid(READ_ONCE(page->type))) {
		id = READ_ONCE(page->owner);
	} else if (READ_ONCE(page->type) == PT_SLAB && cache_at(page_cpu_off(page))->flags & SLAB_ACCOUNT) {
		const struct kmem_cache *s = cache_at(page_cpu_off(page));
		const struct page *head = page - page->tail;
		int idx = slab_index(s, head, p);

		id = idx < 0 ? 0 : READ_ONCE(memcg_owners(s, head)[idx]);
	}
	return id ? &groups[id] : NULL;
}
