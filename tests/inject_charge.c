/*
 * inject_charge.c - two CPUs charge the same groups, each stopped in the middle
 * (inject_pair.h): so one helps the other's charge, and goes on helping when that has long
 * been over. What fits must be allowed, what does not be refused, and the counts be right.
 */
#include "mm/memcg.h"
#include "tests/cpu1.h"
#include "tests/inject_pair.h"
#include "tests/inject_sweep.h"
#include "tests/test.h"

#define SMALL 8UL   /* units: what CPU 1 wants, and there is always room for */
#define LARGE 512UL
#define TOO_MUCH UNIT_MOST
#define MOST (TOO_MUCH - 1) /* no limit allows that */

static struct mem_cgroup *top, *a, *b;
static u64 had_a, had_b; /* charged to a by CPU 0, to b by CPU 1 */
static bool may_have;

/* ---- CPU 0 ---- */

static void give_all_back(void)
{
	if (had_a)
		memcg_uncharge(a, had_a);
	if (had_b)
		memcg_uncharge(b, had_b);
	had_a = had_b = 0;
}

static void limit(u64 units)
{
	give_all_back();
	mem_cgroup_set_limit(top, units << UNIT_SHIFT);
	memcg_drain(top);
	may_have = true;
}

static void just_enough(void)
{
	limit(2 * SMALL);
}

static void too_little(void)
{
	limit(SMALL);
	may_have = false;
}

static void no_limit(void)
{
	limit(MOST);
}

static void stocked(void)
{
	limit(MOST);
	EXPECT(memcg_charge(b, SMALL));
	memcg_uncharge(b, SMALL);
	EXPECT(memcg_stocked(b) > LARGE);
}

/* All that top allows is in stock. */
static void all_in_stock(void)
{
	stocked();
	WRITE_ONCE(top->limit, top->count & WORD_VALUE);
}

static void stock_here(void)
{
	EXPECT(memcg_charge(b, SMALL));
	memcg_uncharge(b, SMALL);
}

/* That of CPU 1, which may take from it meanwhile. */
static void all_in_their_stock(void)
{
	no_limit();
	on_cpu1(stock_here);
	WRITE_ONCE(top->limit, top->count & WORD_VALUE);
}

static void charged(void)
{
	just_enough();
	EXPECT(memcg_charge(a, SMALL));
	had_a = SMALL;
}

static void charged_with_stock(void)
{
	no_limit();
	EXPECT(memcg_charge(a, SMALL));
	had_a = SMALL;
}

static void charge_small(void *unused)
{
	(void)unused;
	if (memcg_charge(a, SMALL))
		had_a = SMALL;
}

static void charge_large(void *unused)
{
	(void)unused;
	if (memcg_charge(a, LARGE))
		had_a = LARGE;
}

static void uncharge_mine(void *unused)
{
	u64 units = had_a;

	(void)unused;
	had_a = 0;
	memcg_uncharge(a, units);
}

static void drain(void *unused)
{
	(void)unused;
	memcg_drain(top);
}

/* What is charged is what the two have. */
static bool adds_up(void)
{
	for (unsigned int c = 0; c < 2; c++)
		if (per_cpu_ptr(memcg_cpu, c)->op || per_cpu_ptr(memcg_cpu, c)->stock & WORD_HELD)
			return false;
	if ((top->count | a->count | b->count) & WORD_HELD)
		return false;
	return (a->count & WORD_VALUE) == had_a + memcg_stocked(a) && (b->count & WORD_VALUE) == had_b + memcg_stocked(b) &&
	       (top->count & WORD_VALUE) == had_a + had_b + memcg_stocked(top);
}

static bool allowed(void)
{
	return adds_up() && had_a && may_have;
}

static bool refused(void)
{
	return adds_up() && !had_a && !may_have;
}

static bool given(void)
{
	return adds_up() && !had_a;
}

static const struct pair_a as[] = {
	{ "a charge, there is room for both", just_enough, charge_small, allowed, 0, false },
	{ "a charge that is refused above", too_little, charge_large, refused, 0, false },
	{ "a charge that fills a stock", no_limit, charge_small, allowed, 0, false },
	{ "a charge, all is in stock", all_in_stock, charge_large, allowed, 0, false },
	{ "a charge, the stock is another's", stocked, charge_small, allowed, 0, false },
	{ "a charge, all is in their stock", all_in_their_stock, charge_large, allowed, 0, false },
	{ "a free at the limit", charged, uncharge_mine, given, 0, false },
	{ "a free into the stock", charged_with_stock, uncharge_mine, given, 0, false },
	{ "stocks are drained", stocked, drain, given, 0, false },
};

/* ---- CPU 1 ---- */

static void take_small(void)
{
	if (memcg_charge(b, SMALL))
		had_b = SMALL;
	nested_want(had_b);
}

static void take_and_give(void)
{
	bool got = memcg_charge(a, SMALL);

	nested_want(got);
	if (got)
		memcg_uncharge(a, SMALL);
}

static void be_refused(void)
{
	nested_want(!memcg_charge(b, TOO_MUCH));
}

static void drain_all(void)
{
	memcg_drain(top);
}

static const struct pair_b bs[] = {
	{ "a charge of a sister group", NULL, take_small, NULL, false, false },
	{ "a charge of the same group, and back", NULL, take_and_give, NULL, false, false },
	{ "a charge that is refused", NULL, be_refused, NULL, false, false },
	{ "stocks are drained", NULL, drain_all, NULL, false, false },
};

static const struct pair_table charges = { "inject.two_cpus_charges", as, bs, ARRAY_SIZE(as), ARRAY_SIZE(bs) };

static void sweep_charges(const void *unused)
{
	(void)unused;
	top = mem_cgroup_create(NULL, "top");
	a = mem_cgroup_create(top, "a");
	b = mem_cgroup_create(top, "b");
	REQUIRE(top && a && b);
	pairs_sweep(&charges);
	give_all_back();
	mem_cgroup_put(a);
	mem_cgroup_put(b);
	mem_cgroup_put(top);
}

TEST(inject, two_cpus_charges, "two CPUs in charges of the same groups, both stopped: each is helped, and all is right")
{
	pairs_run(sweep_charges, NULL);
}
