/*
 * inject_pool.c - a pool's calls (mm/mempool.c), interrupted at every instruction by others
 * on the same pool, with its function refusing: then the reserve alone has to do.
 */
#include <anyctx/mempool.h>
#include "tests/inject.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

#define RESERVE 6
#define HELD_NESTED 2

static mempool_t *pool;
static void *own, *nested_held[HELD_NESTED];
static unsigned int nr_nested_held;
static u64 given_away;
static bool refuse;

static void *give(gfp_t gfp, void *data)
{
	(void)data;
	return refuse ? NULL : kmalloc(16, gfp);
}

static void take_back(void *element, void *data)
{
	(void)data;
	given_away++;
	kfree_nolock(element);
}

/* ---- nested calls ---- */

static void nested_pair(void *unused)
{
	void *p = mempool_alloc(pool, 0);

	(void)unused;
	nested_want(p);
	mempool_free(p, pool);
}

/* All that there can be: the interrupted call may have one in its hands. */
static void nested_drain(void *unused)
{
	void *p[RESERVE + 1];
	unsigned int n = 0;

	(void)unused;
	while (n <= RESERVE && (p[n] = mempool_alloc(pool, 0)))
		n++;
	nested_want(n >= RESERVE - 2 && n <= RESERVE);
	for (unsigned int i = 0; i < n; i++)
		for (unsigned int k = 0; k < i; k++)
			nested_want(p[i] != p[k]);
	for (unsigned int i = 0; i < n; i += 2)
		mempool_free(p[i], pool);
	for (unsigned int i = 1; i < n; i += 2)
		mempool_free(p[i], pool);
}

static void nested_keep(void *unused)
{
	void *p = mempool_alloc(pool, 0);

	(void)unused;
	nested_want(p);
	if (p && nr_nested_held < HELD_NESTED)
		nested_held[nr_nested_held++] = p;
	else
		mempool_free(p, pool);
}

static const struct nested_call calls[] = {
	{ "alloc and free", nested_pair }, { "all and back", nested_drain }, { "alloc", nested_keep },
};

/* ---- the calls that are interrupted ---- */

static void state_reserve(void)
{
	refuse = true;
	given_away = 0;
	nr_nested_held = 0;
	own = NULL;
}

static void state_one_out(void)
{
	state_reserve();
	own = mempool_alloc(pool, 0);
	EXPECT(own != NULL);
}

static void alloc_one(void *unused)
{
	(void)unused;
	own = mempool_alloc(pool, 0);
}

static void free_one(void *unused)
{
	(void)unused;
	mempool_free(own, pool);
	own = NULL;
}

/* All comes back, and the reserve is whole: no element was given away or is there twice. */
static bool settle(bool has_own)
{
	bool ok = has_own == (own != NULL);
	void *all[RESERVE];

	mempool_free(own, pool);
	while (nr_nested_held)
		mempool_free(nested_held[--nr_nested_held], pool);
	for (unsigned int i = 0; i < RESERVE; i++) {
		all[i] = mempool_alloc(pool, 0);
		ok &= all[i] != NULL;
		for (unsigned int k = 0; k < i; k++)
			ok &= all[i] != all[k];
	}
	ok &= !mempool_alloc(pool, 0);
	for (unsigned int i = 0; i < RESERVE; i++)
		mempool_free(all[i], pool);
	return ok && mempool_is_saturated(pool) && !given_away;
}

static bool settle_taken(void)
{
	return settle(true);
}

static bool settle_given(void)
{
	return settle(false);
}

static void sweep_pool(const struct interrupted *c)
{
	if (!step_possible())
		return;
	refuse = false;
	pool = mempool_create(RESERVE, give, take_back, NULL);
	REQUIRE(pool && states_begin());
	sweep_with(c, calls, ARRAY_SIZE(calls));
	states_end();
	refuse = false;
	EXPECT_EQ(mempool_destroy(pool), 0);
}

TEST(inject, pool_alloc, "an element out of a pool's reserve, interrupted by calls on the same pool")
{
	sweep_pool(&(struct interrupted){ .state = state_reserve, .run = alloc_one, .settle = settle_taken });
}

TEST(inject, pool_free, "an element back into a pool's reserve, interrupted by calls on the same pool")
{
	sweep_pool(&(struct interrupted){ .state = state_one_out, .run = free_one, .settle = settle_given });
}

TEST(inject, pool_nmi, "both in an NMI, interrupted by breakpoints")
{
	sweep_pool(&(struct interrupted){ .state = state_reserve, .run = alloc_one, .settle = settle_taken,
					  .in_nmi = true });
	sweep_pool(&(struct interrupted){ .state = state_one_out, .run = free_one, .settle = settle_given,
					  .in_nmi = true });
}
