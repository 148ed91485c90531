/*
 * inject_replay.c - does a sweep over pairs find a bug, and does the schedule that it
 * prints repeat it? With a bug of the tests' own: a call on CPU 1 that is wrong if it
 * comes behind the instruction by which CPU 0 takes an object out of its slab.
 */
#include "kernel/printk.h"
#include "mm/internal.h"
#include "tests/cpu1.h"
#include "tests/inject_pair.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/step.h"
#include "tests/test.h"

static void *obj;
static struct page *slab;
static u64 free_at_first;

static void half_free(void)
{
	void *p;

	state_chain(same->objects / 2);
	p = let_go();
	slab = obj_slab(p);
	hold(p);
	free_at_first = ST_FREE(slab->state);
}

static void alloc_object(void *unused)
{
	(void)unused;
	obj = kmem_cache_alloc_nolock(same, 0, NUMA_NO_NODE);
}

static bool settle_object(void)
{
	return hold(obj);
}

static bool came_in_time;

static void look(void)
{
	came_in_time = ST_FREE(READ_ONCE(slab->state)) == free_at_first;
}

static bool settle_look(void)
{
	return came_in_time;
}

static const struct pair_a as[] = { { "allocation", half_free, alloc_object, settle_object, 0, false } };
static const struct pair_b bs[] = { { "look", NULL, look, settle_look, false, false } };
static const struct pair_table table = { "inject.replay", as, bs, ARRAY_SIZE(as), ARRAY_SIZE(bs) };

static bool passes(u64 i, u64 j)
{
	const struct schedule s = { 0, 0, i, j };
	bool ran, ok = schedule_run(&table, &s, &ran);

	EXPECT(ran);
	return ok;
}

/* As the argument has it. */
static bool passes_by_text(u64 i, u64 j)
{
	struct schedule s;
	char text[64];

	snprintf(text, sizeof(text), "0:0:%lu:%lu", i, j);
	EXPECT(schedule_parse(&table, text, &s));
	return passes(s.i, s.j);
}

/* Everything in front of the instruction passes, everything behind it fails. */
static void find_and_repeat(void)
{
	u64 n = schedule_trace(&table, 0, 0), low = 1, high = n;

	EXPECT(passes(low, 0) && !passes(high, 0));
	while (high - low > 1) {
		u64 middle = (low + high) / 2;

		if (passes(middle, 0))
			low = middle;
		else
			high = middle;
	}
	for (unsigned int i = 0; i < 3; i++) {
		EXPECT(passes_by_text(low, 0));
		EXPECT(!passes_by_text(low, 1)); /* it stops before its look, and CPU 0 goes on */
		EXPECT(!passes_by_text(high, 0) && !passes_by_text(high, 1));
	}
	test_note("%lu instructions: right before %lu, wrong before %lu, each time", n, low, high);
}

static void quietly_find_and_repeat(const void *unused)
{
	(void)unused;
	points_quiet(true);
	find_and_repeat();
	points_quiet(false);
}

TEST(inject, replay, "a schedule of two CPUs that fails is found, and replay= repeats it")
{
	pairs_run(quietly_find_and_repeat, NULL);
}

TEST(inject, replay_words, "replay= takes A:B:i:j of the test's table, and nothing else")
{
	static const char *const bad[] = { "", "0", "0:0", "0:0:1", "0:0:1:", "1:0:1:0", "0:1:1:0", "0:0:0:0", "0:0:1:0 ",
					   "x:0:1:0", "0:0:1:0:0", "0:0:99999999999:0", "-1:0:1:0" };
	struct schedule s;

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		if (schedule_parse(&table, bad[i], &s))
			test_fail(__FILE__, __LINE__, "'%s' is taken", bad[i]);
	EXPECT(schedule_parse(&table, "0:0:17:4", &s) && s.a == 0 && s.b == 0 && s.i == 17 && s.j == 4);
}
