/*
 * inject_last.c - memory is at its end, but for one object or one block: at every
 * instruction of the call that takes it, gives it, or moves it about, another call wants
 * it. Exactly one of them has it in the end; and nobody is told NULL while it is there.
 *
 * The other call comes in debug context, or from another CPU if there is one.
 */
#include <anyctx/smp.h>
#include "mm/internal.h"
#include "mm/walk.h"
#include "tests/ballast.h"
#include "tests/cpu1.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/keep.h"
#include "tests/step.h"
#include "tests/test.h"

static void *mine, *theirs; /* had by the interrupted call, by the other one */
static bool asked;
static struct page *slab;   /* all the memory there is; or the block: */
static u64 block_pfn;
static unsigned int order;

/* ---- an object ---- */

static void take_mine(void *unused)
{
	(void)unused;
	mine = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
}

static void give_mine(void *unused)
{
	(void)unused;
	kmem_cache_free_nolock(same, mine);
}

/* NULL, although the slab's state word says that an object is free, is a failure. */
static void take_theirs(void)
{
	asked = true;
	theirs = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
	nested_want(theirs || !ST_FREE(load(&slab->state)));
}

/* Everything that moves slabs about. */
static void move(void)
{
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		partial_trim(same, nid);
	reclaim();
}

/* To the first of the stacks, as a refill does it. */
static void relist(void)
{
	unsigned int slot = hand_open(NULL);
	struct page *head = partial_pop(same, page_to_nid(slab), slot);

	if (head)
		partial_relist(same, head);
	hand_close(slot);
}

/* With the memory of an empty slab of `same`, as soon as it is given up. */
static void take_other(void)
{
	theirs = kmem_cache_alloc_nolock(other, 0, NUMA_NO_NODE);
}

static void chain_and_slab(unsigned int n)
{
	void *p;

	state_chain(n);
	p = let_go();
	slab = obj_slab(p);
	hold(p);
	state_tight(true);
	mine = theirs = NULL;
	asked = false;
}

static void one_object(void)
{
	chain_and_slab(1);
}

/* Its slab is on the second stack, where trims put them. */
static void one_object_second(void)
{
	chain_and_slab(1);
	partial_trim(same, page_to_nid(slab));
}

/* The slab is empty: the one who wants an object, or the trim, is first. */
static void no_object_used(void)
{
	void *p;

	state_chain(same->objects - 1);
	p = let_go();
	slab = obj_slab(p);
	state_tight(true);
	kmem_cache_free(same, p);
	mine = theirs = NULL;
	asked = false;
}

static void no_object(void)
{
	chain_and_slab(0);
	mine = let_go();
}

static bool one_has_it(void)
{
	if ((mine != NULL) == (theirs != NULL))
		return false;
	return hold(mine ? mine : theirs);
}

static void trim_mine(void *unused)
{
	(void)unused;
	partial_trim(same, page_to_nid(slab));
}

/* It was there all the time. */
static bool they_have_it(void)
{
	if (!asked)
		take_theirs();
	return hold(theirs);
}

/* So it was, but for the moment in which the empty slab's page was on its way. */
static bool they_have_one(void)
{
	if (!theirs)
		take_theirs();
	return hold(theirs);
}

/* One of them, and mine is of the cache that it was asked of. */
static bool either_has(void)
{
	if (mine && page_cpu_off(virt_to_page(mine)) != CPU_OFF(same->id))
		return false;
	if (mine && !hold(mine))
		return false;
	return theirs ? hold(theirs) : mine != NULL;
}

/* It has been given: if it was not had at once, it is to be had now. */
static bool object_is_there(void)
{
	mine = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
	return one_has_it();
}

/* ---- a block of pages ---- */

static void *take_block(void)
{
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, order);

	return page ? page_address(page) : NULL;
}

static void take_my_block(void *unused)
{
	(void)unused;
	mine = take_block();
}

static void give_my_block(void *unused)
{
	(void)unused;
	kfree_nolock(mine);
}

static bool block_is_free(void)
{
	u64 w = block_pfn >> WORD_SHIFT;
	u32 mask = order < WORD_SHIFT ? run_mask(order) << (block_pfn & (WORD_PAGES - 1)) : (u32)WORD_FULL;

	for (u64 i = 0; i == 0 || i < 1UL << order >> WORD_SHIFT; i++)
		if ((free_map_of(w + i) & mask) != mask)
			return false;
	return true;
}

/* NULL, although the map says that it is free, is a failure. */
static void take_their_block(void)
{
	theirs = take_block();
	nested_want(theirs || !block_is_free());
}

static void one_block(void)
{
	state_tight(true);
	mine = theirs = NULL;
}

static void no_block(void)
{
	state_tight(true);
	mine = take_block();
	theirs = NULL;
}

/* They have it, and give it while this call looks for it: it may come too late. */
static void their_block(void)
{
	state_tight(true);
	mine = NULL;
	theirs = take_block();
}

static void give_their_block(void)
{
	kfree_nolock(theirs);
	theirs = NULL;
}

static bool block_is_had_or_there(void)
{
	kfree_nolock(theirs); /* the call did not come so far */
	theirs = NULL;
	if (!mine)
		mine = take_block();
	return hold(mine);
}

static bool block_is_there(void)
{
	mine = take_block();
	return one_has_it();
}

/* ---- the other call, here and there ---- */

HERE_AND_THERE(take_theirs)
HERE_AND_THERE(take_their_block)
HERE_AND_THERE(give_their_block)
HERE_AND_THERE(move)
HERE_AND_THERE(relist)

static void take_other_here(void *unused)
{
	(void)unused;
	take_other();
}

static void sweep_both(struct interrupted c, const struct nested_call *calls)
{
	sweep_with(&c, &calls[0], 1);
	c.elsewhere = true;
	c.stride = c.stride ? 2 * c.stride : 2;
	if (num_online_cpus() > 1)
		sweep_with(&c, &calls[1], 1);
}

static const struct nested_call takes[] = { { "taken here", take_theirs_here },
					    { "taken there", take_theirs_there } };
static const struct nested_call others[] = { { "other cache", take_other_here } };
static const struct nested_call block_takes[] = { { "taken here", take_their_block_here },
						  { "taken there", take_their_block_there } };
static const struct nested_call block_gives[] = { { "given here", give_their_block_here },
						  { "given there", give_their_block_there } };
static const struct nested_call moves[] = { { "moved here", move_here }, { "moved there", move_there } };
static const struct nested_call relists[] = { { "relisted here", relist_here },
					      { "relisted there", relist_there } };

/* The memory of one slab of `same`, or of one block, is all there is left. */
static bool last_begin(bool object)
{
	struct page *page;

	if (!states_begin())
		return false;
	if (object)
		state_chain(0);
	page = object ? NULL : alloc_pages(GFP_KERNEL, order);
	ballast_take_all();
	remote_wanted = false;
	block_pfn = page ? page_to_pfn(page) : 0;
	free_pages(page, order);
	state_others_have();
	cpu1_start();
	return true;
}

static void last_end(void)
{
	cpu1_stop();
	state_reset();
	ballast_give();
	states_end();
}

/* With one CPU only: an empty slab is one that others, too, may be trimming. */
static void sweep_empty_slab(void)
{
	sweep_with(&(struct interrupted){ .state = no_object_used, .run = take_mine, .settle = either_has }, others, 1);
	sweep_with(&(struct interrupted){ .state = no_object_used, .run = trim_mine, .settle = they_have_one }, takes, 1);
}

TEST(inject, last_object, "the last object: had once, whoever takes it when, and while slabs move")
{
	const struct interrupted take = { .state = one_object, .run = take_mine, .settle = one_has_it };
	const struct interrupted give = { .state = no_object, .run = give_mine, .settle = object_is_there };
	struct interrupted second = { .state = one_object_second, .run = take_mine, .settle = one_has_it };
	struct interrupted moving = { .state = one_object, .run = trim_mine, .settle = they_have_it };

	if (!step_possible())
		return;
	REQUIRE(last_begin(true));
	sweep_both(take, takes);
	sweep_both(take, moves);
	sweep_both(give, takes);
	sweep_both(give, moves);
	sweep_both(second, moves);
	sweep_both(second, relists);
	sweep_both(moving, takes);
	moving.state = one_object_second;
	sweep_both(moving, takes);
	if (num_online_cpus() == 1)
		sweep_empty_slab();
	last_end();
}

/* ---- a magazine that is flushed at the end of memory ---- */

#define IN_MAGAZINE 5

/* Memory has become tight, and the magazine is still full. */
static void magazine_tight(void)
{
	state_chain(0);
	state_tight(true);
	magazine_open(same);
	for (unsigned int i = 0; i < IN_MAGAZINE; i++) {
		void *p = let_go();

		object_give(same, p, same->offset);
		EXPECT(magazine_push(same, p));
	}
}

static void close_mine(void *unused)
{
	(void)unused;
	magazine_close(same);
}

/* All but the one that is being moved. */
static void take_four(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i + 1 < IN_MAGAZINE; i++)
		nested_want(hold(kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE)));
}

TEST(inject, close_last, "a magazine flushed at the end of memory: all its objects but one are had at any time")
{
	const struct nested_call four = { "four taken", take_four };

	if (!needs_magazines(200) || !step_possible())
		return;
	REQUIRE(last_begin(true));
	sweep_with(&(struct interrupted){ .state = magazine_tight, .run = close_mine }, &four, 1);
	last_end();
}

static void sweep_last_block(unsigned int k)
{
	const struct interrupted take = { .state = one_block, .run = take_my_block, .settle = one_has_it };
	const struct interrupted late = { .state = their_block, .run = take_my_block, .settle = block_is_had_or_there,
					  .stride = 19 }; /* it looks everywhere */
	const struct interrupted give = { .state = no_block, .run = give_my_block, .settle = block_is_there };

	order = k;
	REQUIRE(last_begin(false));
	sweep_both(take, block_takes);
	sweep_both(give, block_takes);
	sweep_both(late, block_gives);
	last_end();
}

TEST(inject, last_block, "the last block of pages of orders 0, 3, 6, 9, 10: had once, whoever takes it when")
{
	static const unsigned int orders[] = { 0, 3, 6, 9, 10 };

	if (!step_possible())
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++)
		sweep_last_block(orders[i]);
}
