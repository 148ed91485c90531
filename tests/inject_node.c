/*
 * inject_node.c - allocations that name a node, and frees of what lies on another one,
 * interrupted at every instruction. On a machine with two nodes that have memory; one of a
 * node without is wanted by some.
 */
#include <anyctx/gfp.h>
#include "mm/internal.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/nodes.h"
#include "tests/test.h"

static int away, bare; /* a node that is not this CPU's; one without memory, or -1 */
static gfp_t how;
static int whose; /* the node that is named */
static unsigned int order;
static void *obj;
static struct page *page;

/* False: there are not two, and the case is skipped. */
static bool find_nodes(void)
{
	away = bare = -1;
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		if (!node_has_memory(nid))
			bare = nid;
		else if (nid != page_home_node())
			away = nid;
	if (away < 0)
		test_skip("needs two nodes with memory");
	return away >= 0;
}

/* ---- allocations ---- */

static void alloc_object(void *unused)
{
	(void)unused;
	obj = kmem_cache_alloc_nolock(same, how, whose);
}

static void alloc_block(void *unused)
{
	(void)unused;
	page = alloc_pages_nolock(how, whose, order);
}

static bool right_node(const void *p)
{
	return !(how & __GFP_THISNODE) || nid_of(p) == whose;
}

static bool settle_object(void)
{
	return hold(obj) && right_node(obj);
}

static bool settle_block(void)
{
	return page && hold(page_address(page)) && right_node(page_address(page));
}

static void none(void)
{
	state_chain(0);
	page_flush_cpu();
}

/* A slab with free objects here, and one there. */
static void some_away(void)
{
	state_chain(same->objects / 2);
	EXPECT(hold(kmem_cache_alloc_nolock(same, __GFP_THISNODE, away)));
}

static void sweep_object(const char *label, int nid, gfp_t gfp, void (*state)(void))
{
	whose = nid;
	how = gfp;
	sweep(&(struct interrupted){ .state = state, .run = alloc_object, .settle = settle_object, .label = label });
}

TEST(inject, node_object, "an object of another node, out of a slab there and of a new one, strictly and as a wish, interrupted")
{
	if (!find_nodes())
		return;
	sweep_object("strict, a slab there", away, __GFP_THISNODE, some_away);
	sweep_object("strict, none there", away, __GFP_THISNODE, none);
	sweep_object("a wish, a slab there", away, 0, some_away);
}

TEST(inject, node_bare, "an object wished of a node without memory comes from another one, interrupted")
{
	if (!find_nodes())
		return;
	if (bare < 0) {
		test_skip("needs a node without memory");
		return;
	}
	sweep_object("of none", bare, 0, none);
	sweep_object("of none, slabs elsewhere", bare, 0, some_away);
}

static void sweep_block(unsigned int k, const char *label)
{
	whose = away;
	how = __GFP_THISNODE;
	order = k;
	sweep(&(struct interrupted){ .state = none, .run = alloc_block, .settle = settle_block, .label = label });
}

TEST(inject, node_pages, "1, 8 and 64 pages of another node, interrupted")
{
	if (!find_nodes())
		return;
	sweep_block(0, "order 0");
	sweep_block(3, "order 3");
	sweep_block(6, "order 6");
}

/* ---- frees ---- */

static void free_object(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(same, obj);
}

static void free_block(void *unused)
{
	(void)unused;
	free_pages_nolock(page, order);
}

/* In the magazine are objects of both nodes. */
static void full_of_both(void)
{
	state_chain(2);
	EXPECT(hold(kmem_cache_alloc_nolock(same, __GFP_THISNODE, away)));
	state_magazine(SAME_LIMIT);
	obj = kmem_cache_alloc_nolock(same, __GFP_THISNODE, away);
	EXPECT(obj != NULL);
}

static void last_away_tight(void)
{
	state_chain(2);
	obj = kmem_cache_alloc_nolock(same, __GFP_THISNODE, away);
	EXPECT(obj != NULL);
	state_tight(true);
}

static void block_away(void)
{
	state_chain(2);
	page = alloc_pages_nolock(__GFP_THISNODE, away, order);
	EXPECT(page != NULL);
	state_private();
}

TEST(inject, node_free, "an object and pages of another node given back: each goes home, interrupted")
{
	static const struct interrupted object = { .state = full_of_both, .run = free_object, .label = "magazine full" },
					tight = { .state = last_away_tight, .run = free_object, .label = "tight" },
					block = { .state = block_away, .run = free_block, .label = "pages" };

	if (!find_nodes())
		return;
	sweep(&object);
	sweep(&tight);
	for (order = 0; order <= 3; order += 3)
		sweep(&block);
}
