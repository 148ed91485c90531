/*
 * inject_pages.c - blocks of pages taken and given back, and what moves objects and
 * pages by itself, interrupted at every instruction.
 */
#include <anyctx/smp.h>
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

static unsigned int order;
static struct page *page; /* what the call returns, or frees */
static void *block;

static void alloc_block(void *unused)
{
	(void)unused;
	page = alloc_pages_nolock(0, NUMA_NO_NODE, order);
}

static void free_block(void *unused)
{
	(void)unused;
	free_pages_nolock(page, order);
}

static bool settle_alloc(void)
{
	return page && hold(page_address(page));
}

static const char *const order_names[] = { "order 0", "order 1", "order 2", "order 3", "order 4", "order 5",
					   "order 6", "order 7", "order 8", "order 9", "order 10" };

/* An object that nested calls may free, and nothing private. */
static void map_only(void)
{
	state_chain(2);
	page_flush_cpu();
}

static void private(void)
{
	state_chain(2);
	state_private();
}

static void map_tight(void)
{
	state_chain(2);
	state_tight(true);
}

static void sweep_alloc(unsigned int k, void (*state)(void))
{
	order = k;
	sweep(&(struct interrupted){ .state = state, .run = alloc_block, .settle = settle_alloc,
				     .label = order_names[order] });
}

TEST(inject, page_private, "a private page, interrupted at every instruction")
{
	sweep_alloc(0, private);
}

TEST(inject, page_refill, "a page out of the map, with the rest of its word, interrupted")
{
	sweep_alloc(0, map_only);
}

/* As a slab has them, given to hold() as if alloc_pages had: two, or one if they had to be
 * looked for, and then the other one stays with the CPU. */
static void alloc_half(void *unused)
{
	(void)unused;
	page = page_alloc_light(0, NUMA_NO_NODE, 1, 0, PT_BLOCK);
}

static bool settle_half(void)
{
	if (page)
		page->kind = block_kind(PT_BLOCK, page->order, 1);
	return settle_alloc();
}

TEST(inject, page_half, "one page of a block of two that had to be looked for, interrupted")
{
	const struct interrupted c = { .state = map_only, .run = alloc_half, .settle = settle_half };

	sweep(&c);
	if (!step_possible() || !mm_keeps_pages())
		return;
	page_flush_cpu();
	page = page_alloc_light(0, NUMA_NO_NODE, 1, 0, PT_BLOCK);
	REQUIRE(page != NULL);
	EXPECT_EQ(page->order, 0);
	EXPECT((u32)this_cpu_ptr(page_cpu)->private[1] >> ((page_to_pfn(page) + 1) & (WORD_PAGES - 1)) & 1);
	page_free_block(page, 0, PT_BLOCK);
}

TEST(inject, page_tight, "a page while memory is tight, interrupted")
{
	sweep_alloc(0, map_tight);
}

TEST(inject, order3, "8 pages, private and out of the map, interrupted")
{
	sweep_alloc(3, private);
	sweep_alloc(3, map_only);
}

TEST(inject, order5_order6, "a word and two words, interrupted")
{
	sweep_alloc(5, map_only);
	sweep_alloc(6, map_only);
}

/* The two lines that will be found first are in pieces, all of them free. */
static void split_lines(void)
{
	struct page_cpu *pc = this_cpu_ptr(page_cpu);
	struct page *pair = alloc_pages(GFP_NOWAIT, MAX_ORDER);

	state_chain(2);
	page_flush_cpu();
	WRITE_ONCE(pc->line_given, 0);
	if (!pair)
		return;
	WRITE_ONCE(pc->cursor, page_to_pfn(pair) >> LINE_SHIFT);
	free_pages(pair, MAX_ORDER);
}

/* They are whole. */
static void whole_lines(void)
{
	u64 line;

	split_lines();
	line = READ_ONCE(this_cpu_ptr(page_cpu)->cursor);
	for (u64 i = 0; i < 2; i++) {
		EXPECT(line_take(line + i, false));
		EXPECT(line_give(line + i));
	}
}

TEST(inject, order9, "a line that is whole, and one in pieces, interrupted")
{
	sweep_alloc(9, map_only);
	sweep_alloc(9, whole_lines);
	sweep_alloc(9, split_lines);
}

/* words_nested.c has every instruction of what is most of this. */
TEST(inject, order10, "two lines that are in pieces, and two that are whole, interrupted")
{
	order = 10;
	sweep(&(struct interrupted){ .state = split_lines, .run = alloc_block, .settle = settle_alloc,
				     .label = order_names[order],
				     .stride = 7 });
	sweep(&(struct interrupted){ .state = whole_lines, .run = alloc_block, .settle = settle_alloc,
				     .label = order_names[order],
				     .stride = 7 });
}

/* ---- frees ---- */

static void used_private(void)
{
	state_chain(2);
	state_private();
	page = alloc_pages(GFP_NOWAIT, order);
}

/* Not of the words that are private. */
static void used_elsewhere(void)
{
	state_chain(2);
	page_flush_cpu();
	page = alloc_pages_node(page_home_node(), GFP_NOWAIT, order);
	state_private();
}

static void used_tight(void)
{
	state_chain(2);
	page = alloc_pages(GFP_NOWAIT, order);
	state_tight(true);
}

static void sweep_free(unsigned int k, void (*state)(void))
{
	order = k;
	sweep(&(struct interrupted){ .state = state, .run = free_block,
				     .label = order_names[order] });
}

TEST(inject, free_pages_small, "1 and 8 pages given back, to the private ones and to the map, interrupted")
{
	sweep_free(0, used_private);
	sweep_free(0, used_elsewhere);
	sweep_free(3, used_private);
	sweep_free(3, used_elsewhere);
}

TEST(inject, free_pages_tight, "pages given back while memory is tight, interrupted")
{
	sweep_free(0, used_tight);
	sweep_free(5, used_tight);
}

/* Of a line all else of which is free: how far the free looks is always the same. */
static void used_alone(void)
{
	state_chain(2);
	split_lines();
	page = alloc_pages_node(page_home_node(), GFP_NOWAIT, order);
}

TEST(inject, free_pages_large, "2, 16 and 32 words given back, interrupted")
{
	sweep_free(6, used_alone);
	sweep_free(9, used_elsewhere);
	sweep_free(10, used_elsewhere);
}

/* ---- large blocks of kmalloc ---- */

static void kmalloc_20000(void *unused)
{
	(void)unused;
	block = kmalloc_nolock(20000, 0, NUMA_NO_NODE);
}

static void kfree_20000(void *unused)
{
	(void)unused;
	kfree_nolock(block);
}

static bool settle_kmalloc(void)
{
	return hold(block);
}

static void used_block(void)
{
	state_chain(2);
	block = kmalloc(20000, GFP_NOWAIT);
}

TEST(inject, kmalloc_large, "kmalloc and kfree of 20000 bytes, interrupted")
{
	sweep(&(struct interrupted){ .state = map_only, .run = kmalloc_20000, .settle = settle_kmalloc });
	sweep(&(struct interrupted){ .state = used_block, .run = kfree_20000 });
}

/* ---- what goes on by itself ---- */

static void serve_deferred(void *unused)
{
	(void)unused;
	defer_serve();
}

static void deferred(void)
{
	state_chain(0);
	state_deferred(3);
}

TEST(inject, serve, "deferred frees served, interrupted")
{
	sweep(&(struct interrupted){ .state = deferred, .run = serve_deferred });
	sweep(&(struct interrupted){ .state = deferred, .run = serve_deferred, .in_nmi = true });
}

static void trim_slabs(void *unused)
{
	(void)unused;
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		partial_trim(same, nid);
}

static void two_slabs(void)
{
	state_chain(3);
	state_empty_slab();
}

TEST(inject, trim, "an empty slab given back and one in use moved, interrupted")
{
	sweep(&(struct interrupted){ .state = two_slabs, .run = trim_slabs });
}

static void close_magazine(void *unused)
{
	(void)unused;
	magazine_close(same);
	magazine_open(same);
}

static void cached(void)
{
	state_chain(2);
	state_magazine(5);
	state_private();
}

TEST(inject, close, "a magazine flushed, closed and opened, interrupted")
{
	sweep(&(struct interrupted){ .state = cached, .run = close_magazine });
}

static void flush_pages(void *unused)
{
	(void)unused;
	page_flush_cpu();
}

TEST(inject, flush, "private pages given back, interrupted")
{
	sweep(&(struct interrupted){ .state = cached, .run = flush_pages });
}

static void reclaim_all(void *unused)
{
	(void)unused;
	reclaim();
}

TEST(inject, reclaim, "the last resort before NULL, interrupted")
{
	/* It looks at every other CPU's caches, so it grows with them. */
	sweep(&(struct interrupted){ .state = cached, .run = reclaim_all, .waits = true,
				     .stride = 11 + 2 * num_online_cpus() });
}

/* ---- by NMIs ---- */

static void nmi_alloc(const char *name, unsigned int k, void (*state)(void))
{
	order = k;
	sweep_nmi(name, &(struct interrupted){ .state = state, .run = alloc_block, .settle = settle_alloc,
				     .label = order_names[order] });
}

static void nmi_free(const char *name, unsigned int k, void (*state)(void))
{
	order = k;
	sweep_nmi(name, &(struct interrupted){ .state = state, .run = free_block,
				     .label = order_names[order] });
}

TEST(inject, nmi_pages, "blocks of pages taken and given back, interrupted by NMIs that allocate and free")
{
	nmi_alloc("order 0, private", 0, private);
	nmi_alloc("order 0", 0, map_only);
	nmi_alloc("order 3", 3, map_only);
	nmi_alloc("order 6", 6, map_only);
	nmi_alloc("order 9", 9, split_lines);
	nmi_alloc("order 10", 10, split_lines);
	nmi_free("free of order 0", 0, used_elsewhere);
	nmi_free("free of order 3, tight", 3, used_tight);
	nmi_free("free of order 9", 9, used_elsewhere);
	nmi_free("free of order 10", 10, used_elsewhere);
}
