/*
 * numa.c - memory of nodes: whose it is, how far away, where an allocation goes when its node
 * has none left, and that what is freed elsewhere goes back to its node.
 *
 * Distances are checked against distances_are=, the numbers that the machine was started
 * with, row by row. tests/args.c and tests/oom.c have more: each size on each node, a node's
 * memory to the last page.
 */
#include <arch/machine.h>
#include "kernel/cmdline.h"
#include "kernel/hooks.h"
#include "lib/bits.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/search.h"
#include "kernel/run_in.h"
#include "tests/nodes.h"
#include "tests/test.h"

static const char *distances_are = "";
KPARAM_STR(distances_are, "distances_are", "for numa.distances: the distances of nodes, row by row");

static unsigned int nodes_with_memory(void)
{
	unsigned int n = 0;

	for (int nid = 0; nid < (int)num_nodes(); nid++)
		n += node_has_memory(nid);
	return n;
}

/* Two nodes with memory, or the case is skipped. */
static bool two_nodes(void)
{
	if (nodes_with_memory() >= 2)
		return true;
	test_skip("needs two nodes with memory");
	return false;
}

/* ---- distances ---- */

static unsigned int take_number(const char **s)
{
	unsigned int v = 0;

	for (; **s >= '0' && **s <= '9'; (*s)++)
		v = 10 * v + (unsigned int)(**s - '0');
	*s += **s == ',';
	return v;
}

TEST(numa, distances, "distances of nodes are those that the machine was started with")
{
	const char *s = distances_are;

	if (!*s) {
		test_skip("needs distances_are=");
		return;
	}
	for (int a = 0; a < (int)num_nodes(); a++)
		for (int b = 0; b < (int)num_nodes(); b++)
			EXPECT_EQ(arch_node_distance(a, b), take_number(&s));
	EXPECT(!*s);
}

TEST(numa, order, "for each node the others come by distance, itself first, each once")
{
	for (int nid = 0; nid < (int)num_nodes(); nid++) {
		u32 seen = 0;

		EXPECT_EQ(nearest_node(nid, 0), nid);
		for (unsigned int i = 0; i < num_nodes(); i++) {
			int n = nearest_node(nid, i), before = nearest_node(nid, i ? i - 1 : 0);

			seen |= 1u << n;
			EXPECT(arch_node_distance(nid, n) >= arch_node_distance(nid, before));
		}
		EXPECT_EQ(seen, (1u << num_nodes()) - 1);
	}
}

/* ---- where an allocation goes ---- */

/* Nobody keeps anything; the trim at the end of mm_quiesce leaves pages with this CPU. */
static void rest(void)
{
	mm_quiesce();
	page_flush_cpu();
}

static unsigned int rank_of(int nid, int node)
{
	for (unsigned int i = 0; i < num_nodes(); i++)
		if (nearest_node(nid, i) == node)
			return i;
	return ~0u;
}

/* All that can be had, chained through first words, and how: of which nodes, and whether
 * a nearer one still had some when it came from one farther away. */
struct haul {
	void **chain;
	u64 taken[MAX_NUMNODES], too_early;
	unsigned int rank;
};

static void haul_add(struct haul *h, int nid, unsigned int order, void *p)
{
	unsigned int rank = rank_of(nid, nid_of(p));

	if (rank < h->rank)
		h->too_early++;
	for (; h->rank < rank; h->rank++)
		h->too_early += page_find_free(order, nearest_node(nid, h->rank));
	h->taken[nid_of(p)]++;
	*(void ***)p = h->chain;
	h->chain = p;
}

static void haul_end(const struct haul *h, void (*give)(void *))
{
	void **p = h->chain;

	while (p) {
		void **next = *p;

		give(p);
		p = next;
	}
	EXPECT_EQ(h->too_early, 0);
}

static void give_block(void *p)
{
	kfree(p);
}

static void take_blocks(int nid, unsigned int order)
{
	struct haul h = { .chain = NULL };
	struct page *page;

	rest();
	while ((page = alloc_pages_node(nid, GFP_NOWAIT | __GFP_NOWARN, order)))
		haul_add(&h, nid, order, page_address(page));
	for (int n = 0; n < (int)num_nodes(); n++)
		EXPECT(h.taken[n] > 0 || !node_has_memory(n));
	haul_end(&h, give_block);
}

TEST(numa, pages_by_distance, "pages of a node that is used up come from the nearest that has some, and so on to the last")
{
	if (!two_nodes())
		return;
	for (int nid = 0; nid < (int)num_nodes(); nid++) {
		take_blocks(nid, 9);
		take_blocks(nid, 7);
		take_blocks(nid, 4);
	}
	take_blocks((int)num_nodes() - 1, 0);
}

/* In pieces of 8 KiB: the slabs' order is that of what is looked for. */
static void take_objects(struct kmem_cache *s, int nid)
{
	struct haul h = { .chain = NULL };
	void *p;

	rest();
	while ((p = kmem_cache_alloc_nolock(s, __GFP_NOWARN, nid)))
		haul_add(&h, nid, s->min_order, p);
	for (int n = 0; n < (int)num_nodes(); n++)
		EXPECT(h.taken[n] > 0 || !node_has_memory(n));
	for (void **q = h.chain; q;) {
		void **next = *q;

		kmem_cache_free_nolock(s, q);
		q = next;
	}
	EXPECT_EQ(h.too_early, 0);
}

TEST(numa, objects_by_distance, "so do objects that are wanted on a node")
{
	struct kmem_cache *s;

	if (!two_nodes())
		return;
	s = kmem_cache_create("numa", KMALLOC_MAX_CACHE_SIZE, 0, 0, NULL);
	REQUIRE(s != NULL);
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		take_objects(s, nid);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

/* ---- an order is an order ---- */

static struct {
	int nid;
	void *object, *pages;
} wish;

static void ask(void *unused)
{
	struct page *page = alloc_pages_nolock(__GFP_THISNODE, wish.nid, 2);

	(void)unused;
	wish.object = kmalloc_nolock(200, __GFP_THISNODE, wish.nid);
	wish.pages = page ? page_address(page) : NULL;
}

TEST(numa, strict, "__GFP_THISNODE is obeyed in every context on every CPU; a node without memory has none to give")
{
	for (unsigned int i = 0; i < num_nodes() * NR_CONTEXT * num_possible_cpus(); i++) {
		bool has;

		wish.nid = (int)(i % num_nodes());
		has = node_has_memory(wish.nid);
		run_in((enum context)(i / num_nodes() % NR_CONTEXT), i / num_nodes() / NR_CONTEXT, ask, NULL);
		EXPECT_EQ(wish.object != NULL, has);
		EXPECT_EQ(wish.pages != NULL, has);
		EXPECT(!has || (nid_of(wish.object) == wish.nid && nid_of(wish.pages) == wish.nid));
		kfree(wish.object);
		kfree(wish.pages);
	}
}

TEST(numa, strict_to_the_last, "with __GFP_THISNODE a node's objects end when its memory does, while others have theirs")
{
	struct kmem_cache *s;

	if (!two_nodes())
		return;
	s = kmem_cache_create("numa-strict", 4096, 0, 0, NULL);
	REQUIRE(s != NULL);
	for (int nid = 0; nid < (int)num_nodes(); nid++) {
		void **chain = NULL, **p;
		u64 n = 0;

		rest();
		for (; (p = kmem_cache_alloc_nolock(s, __GFP_THISNODE | __GFP_NOWARN, nid)); n++) {
			EXPECT_EQ(nid_of(p), nid);
			*p = chain;
			chain = p;
		}
		EXPECT_EQ(n > 0, node_has_memory(nid));
		EXPECT(!page_find_free(0, nid));
		EXPECT(page_find_free(0, -1));
		for (; chain; chain = p) {
			p = *chain;
			kmem_cache_free(s, chain);
		}
	}
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

/* ---- CPUs of nodes without memory ---- */

static void check_near(void *nr)
{
	int nid = cpu_to_node(smp_processor_id()), home = page_home_node();
	void *p = kmalloc(20000, GFP_ATOMIC), *q = kmalloc(64, GFP_ATOMIC);

	for (unsigned int i = 0; i < num_nodes(); i++)
		if (node_has_memory(nearest_node(nid, i))) {
			EXPECT_EQ(home, nearest_node(nid, i));
			break;
		}
	EXPECT(p && nid_of(p) == home);
	EXPECT(q && nid_of(q) == home);
	kfree(p);
	kfree(q);
	__atomic_fetch_add((u64 *)nr, home != nid, __ATOMIC_RELAXED);
}

TEST(numa, home, "a CPU's memory is its node's; if that has none, the nearest one's that has")
{
	u64 away = 0;

	rest();
	on_each_cpu_thread(check_near, &away);
	test_note("%u nodes, %u with memory; %lu CPUs on one without", num_nodes(), nodes_with_memory(), away);
}

/* ---- home again ---- */

static u64 free_on(int nid)
{
	u64 n = 0;

	for (u64 line = 0; line < nr_lines; line++) {
		if (line_node[line] != nid)
			continue;
		n += line_peek(line) == LINE_FREE ? LINE_PAGES : 0;
		for (u64 w = line * LINE_WORDS; w < (line + 1) * LINE_WORDS; w++)
			n += popcount32(word_peek(w));
	}
	return n;
}

#define OBJECTS 600

/* Made on node nid, freed by a CPU of another one. */
static void check_pages_go_home(int nid)
{
	u64 before;

	rest();
	before = free_on(nid);
	for (unsigned int order = 0; order <= MAX_ORDER; order++) {
		struct page *page = alloc_pages_node(nid, GFP_KERNEL | __GFP_THISNODE, order);

		REQUIRE(page != NULL);
		free_pages(page, order);
		if (nid != page_home_node())
			EXPECT_EQ(free_on(nid), before);
	}
}

TEST(numa, pages_go_home, "a page that a CPU of another node frees is in its own node's free map at once")
{
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		if (node_has_memory(nid))
			check_pages_go_home(nid);
}

static u64 listed_objects(const struct kmem_cache *s, int nid)
{
	return READ_ONCE(s->partial[nid].nr);
}

TEST(numa, objects_go_home, "objects that a CPU of another node frees are in their node's slabs when it flushes")
{
	static void *objs[OBJECTS];
	struct kmem_cache *s = kmem_cache_create("numa-home", 256, 0, 0, NULL);

	REQUIRE(s != NULL);
	for (int nid = 0; nid < (int)num_nodes(); nid++) {
		if (!node_has_memory(nid))
			continue;
		for (unsigned int i = 0; i < OBJECTS; i++) {
			objs[i] = kmem_cache_alloc_nolock(s, __GFP_THISNODE, nid);
			REQUIRE(objs[i] != NULL);
		}
		for (unsigned int i = 0; i < OBJECTS; i += 2)
			kmem_cache_free(s, objs[i]);
		magazine_flush(s, ~0UL);
		EXPECT(listed_objects(s, nid) > 0);
		for (unsigned int i = 0; i < OBJECTS; i += 2) { /* the very same slabs serve the node again */
			objs[i] = kmem_cache_alloc_nolock(s, __GFP_THISNODE, nid);
			EXPECT(objs[i] && nid_of(objs[i]) == nid);
		}
		for (unsigned int i = 0; i < OBJECTS; i++)
			kmem_cache_free(s, objs[i]);
		kmem_cache_shrink(s);
		EXPECT_EQ(listed_objects(s, nid), 0);
	}
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}
