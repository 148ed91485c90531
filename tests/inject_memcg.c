/*
 * inject_memcg.c - charging and giving back, interrupted at every instruction by others
 * of the same groups, here and on another CPU: each has what the limits allow it, at every
 * moment, and in the end what is charged is what is held.
 *
 * All objects are of one slab, which is there all the time. `top` is above `a` and `b`.
 */
#include <anyctx/memcg.h>
#include <anyctx/smp.h>
#include "mm/memcg.h"
#include "tests/cpu1.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

#define OBJECT 64UL

static struct mem_cgroup *top, *a, *b, *ending;
static void *slab_stays, *mine, *theirs;

static void *object_of(struct mem_cgroup *g)
{
	struct mem_cgroup *was = set_active_memcg(g);
	void *p = kmalloc_nolock(OBJECT, __GFP_ACCOUNT, NUMA_NO_NODE);

	set_active_memcg(was);
	return p;
}

static struct page *page_of(struct mem_cgroup *g, unsigned int order)
{
	struct mem_cgroup *was = set_active_memcg(g);
	struct page *page = alloc_pages_nolock(__GFP_ACCOUNT, NUMA_NO_NODE, order);

	set_active_memcg(was);
	return page;
}

/* ---- states ---- */

static void limits(u64 of_top, u64 of_a)
{
	kfree(mine);
	kfree(theirs);
	mine = theirs = NULL;
	mem_cgroup_set_limit(top, of_top);
	mem_cgroup_set_limit(a, of_a);
	memcg_drain(top);
}

static void stock_of(struct mem_cgroup *g)
{
	kfree(object_of(g));
	EXPECT(memcg_stocked(g) > 0);
}

static void no_limit(void)
{
	limits(MEMCG_NO_LIMIT, MEMCG_NO_LIMIT);
}

static void own_stock(void)
{
	no_limit();
	stock_of(a);
}

static void other_stock(void)
{
	no_limit();
	stock_of(b);
}

static void room_for_two(void)
{
	limits(2 * OBJECT, 2 * OBJECT);
}

/* From now on top allows no more than there is; stocks stay as they are. */
static void no_more(void)
{
	WRITE_ONCE(top->limit, top->count & WORD_VALUE);
}

/* All that top allows is in stock; a page of it is wanted. */
static void room_in_stock(void)
{
	other_stock();
	no_more();
}

/* The same, and all CPUs together have it. */
static void stock_on_cpu1(void)
{
	stock_of(b);
}

static void room_in_stocks(void)
{
	own_stock();
	on_cpu1(stock_on_cpu1);
	no_more();
}

static void had_with_stock(void)
{
	own_stock();
	mine = object_of(a);
}

static void had_at_limit(void)
{
	room_for_two();
	mine = object_of(a);
	theirs = object_of(b);
}

/* A group with one object, one reference, and a stock. */
static void about_to_end(void)
{
	no_limit();
	ending = mem_cgroup_create(top, "ending");
	mine = object_of(ending);
}

/* ---- what is interrupted ---- */

static void take_object(void *unused)
{
	(void)unused;
	mine = object_of(a);
}

static void take_page(void *unused)
{
	struct page *page = page_of(a, 0);

	(void)unused;
	mine = page ? page_address(page) : NULL;
}

/* a allows it, top does not. */
static void take_too_much(void *unused)
{
	(void)unused;
	mine = page_of(a, 3);
}

static void give_mine(void *unused)
{
	(void)unused;
	kfree_nolock(mine);
	mine = NULL;
}

static void put_ending(void *unused)
{
	(void)unused;
	mem_cgroup_put(ending);
	ending = NULL;
}

/* ---- and by what ---- */

static void take_and_give(void)
{
	void *p = object_of(a), *q = object_of(b);

	nested_want(p && q);
	kfree_nolock(p);
	kfree_nolock(q);
}

static void take_theirs(void)
{
	theirs = object_of(b);
	nested_want(theirs);
}

static void take_theirs_of_a(void)
{
	theirs = object_of(a);
	nested_want(theirs);
}

/* Only while it fits beside what the other wants. */
static void take_half(void)
{
	struct page *page = page_of(b, 1);

	nested_want(page);
	free_pages_nolock(page, 1);
}

/* Is refused, and must leave nothing. */
static void be_refused(void)
{
	nested_want(!page_of(b, 10));
}

/* What is there may be had or not: its free is under way. */
static void try_theirs(void)
{
	void *p = object_of(b);

	kfree_nolock(p);
	nested_want(true);
}

static void change_limit(void)
{
	mem_cgroup_set_limit(top, OBJECT * 8);
	mem_cgroup_set_limit(top, MEMCG_NO_LIMIT);
	nested_want(true);
}

static void free_last(void)
{
	kfree_nolock(mine);
	mine = NULL;
	nested_want(true);
}

static void put_last(void)
{
	mem_cgroup_put(ending);
	ending = NULL;
	nested_want(true);
}

#define BOTH(name) \
	HERE_AND_THERE(name) \
	static const struct nested_call name##_calls[] = { { #name " here", name##_here }, { #name " there", name##_there } };
BOTH(take_and_give)
BOTH(take_theirs)
BOTH(take_theirs_of_a)
BOTH(take_half)
BOTH(be_refused)
BOTH(try_theirs)
BOTH(change_limit)
BOTH(free_last)
BOTH(put_last)

/* ---- in the end ---- */

/* What is charged is what is held, and no charge is left under way. */
static bool adds_up(void)
{
	u64 held = (mine ? ksize(mine) : 0) + (theirs ? OBJECT : 0);

	for (unsigned int c = 0; c < num_online_cpus(); c++)
		if (per_cpu_ptr(memcg_cpu, c)->op || per_cpu_ptr(memcg_cpu, c)->stock & WORD_HELD)
			return false;
	return !((top->count | a->count | b->count) & WORD_HELD) && mem_cgroup_usage(top) == held &&
	       (top->count & WORD_VALUE) == (held >> UNIT_SHIFT) + memcg_stocked(top);
}

static bool had(void)
{
	bool ok = mine && adds_up();

	kfree(mine);
	mine = NULL;
	return ok && adds_up();
}

static bool had_not(void)
{
	return !mine && adds_up();
}

/* And so much is free again. */
static bool given(void)
{
	void *p = object_of(b);

	kfree(p);
	return p && !mine && adds_up();
}

static bool ended(void)
{
	if (mine) /* the nested call did not come */
		kfree(mine);
	else if (ending)
		mem_cgroup_put(ending);
	mine = ending = NULL;
	for (unsigned int i = 1; i <= MEMCG_MAX_GROUPS; i++)
		if (&groups[i] != top && &groups[i] != a && &groups[i] != b && load(&groups[i].life) & LIFE_LIVE)
			return false;
	return adds_up();
}

static bool begin(void)
{
	if (!step_possible() || !states_begin())
		return false;
	top = mem_cgroup_create(NULL, "top");
	a = mem_cgroup_create(top, "a");
	b = mem_cgroup_create(top, "b");
	slab_stays = kmem_cache_alloc(&caches[NR_KMALLOC + __kmalloc_class_of(OBJECT)], GFP_NOWAIT);
	remote_wanted = false;
	state_others_have();
	cpu1_start();
	return top && a && b && slab_stays;
}

static void end(void)
{
	cpu1_stop();
	no_limit();
	kfree(slab_stays);
	mem_cgroup_put(a);
	mem_cgroup_put(b);
	mem_cgroup_put(top);
	states_end();
}

static void both(struct interrupted c, const struct nested_call *calls)
{
	sweep_with(&c, &calls[0], 1);
	c.elsewhere = true;
	c.stride = 2;
	if (num_online_cpus() > 1)
		sweep_with(&c, &calls[1], 1);
}

#define SWEEP(make_state, call, ends, nested) \
	both((struct interrupted){ .state = make_state, .run = call, .settle = ends }, nested##_calls)

TEST(inject, memcg_charge, "a charge from the stock, with a new stock or another group's, interrupted by others of its groups")
{
	if (!begin())
		return;
	SWEEP(own_stock, take_object, had, take_and_give);
	SWEEP(no_limit, take_object, had, take_and_give);
	SWEEP(other_stock, take_object, had, take_and_give);
	SWEEP(no_limit, take_object, had, change_limit);
	SWEEP(own_stock, take_object, had, change_limit);
	end();
}

TEST(inject, memcg_limit, "at a limit: both have it while there is room for both, whatever charge would fail besides")
{
	if (!begin())
		return;
	SWEEP(room_for_two, take_object, had, take_theirs);
	SWEEP(room_for_two, take_object, had, take_theirs_of_a);
	SWEEP(room_for_two, take_object, had, be_refused);
	SWEEP(room_for_two, take_too_much, had_not, take_theirs_of_a);
	SWEEP(room_for_two, take_too_much, had_not, take_theirs);
	end();
}

TEST(inject, memcg_drain, "what is in stock when a limit is met is had, at every moment of its way out of there")
{
	if (!begin())
		return;
	SWEEP(room_in_stock, take_page, had, take_half);
	SWEEP(room_in_stocks, take_page, had, take_half);
	SWEEP(room_in_stock, take_page, had, be_refused);
	end();
}

TEST(inject, memcg_free, "a free into the stock, and one at the limit, interrupted; then there is room again")
{
	if (!begin())
		return;
	SWEEP(had_with_stock, give_mine, given, take_and_give);
	SWEEP(had_with_stock, give_mine, given, change_limit);
	SWEEP(had_with_stock, give_mine, given, try_theirs);
	SWEEP(had_at_limit, give_mine, given, try_theirs);
	SWEEP(had_at_limit, give_mine, given, be_refused);
	end();
}

TEST(inject, memcg_end, "the last reference and the last charge of a group go at once: it ends, and only once")
{
	if (!begin())
		return;
	SWEEP(about_to_end, give_mine, ended, put_last);
	SWEEP(about_to_end, put_ending, ended, free_last);
	end();
}
