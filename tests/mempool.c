/*
 * mempool.c - pools: so many elements can always be had, in every context, with all
 * CPUs at it, and while the size of the reserve changes; and bad calls.
 */
#include <anyctx/mempool.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "mm/internal.h"
#include "tests/badcall.h"
#include "tests/ballast.h"
#include "tests/test.h"

#define RESERVE 20
#define MOST 300

/* The tests' own source of elements, which can be told to refuse. */
static volatile bool refuse, refuse_light; /* always; but in threads that may wait */
static u64 given, taken_back;

static void *give(gfp_t gfp, void *data)
{
	void *p = refuse || (refuse_light && !(gfp & __GFP_RECLAIM)) ? NULL : kmalloc_nolock(64, gfp & ~__GFP_RECLAIM, NUMA_NO_NODE);

	(void)data;
	if (p)
		__atomic_fetch_add(&given, 1, __ATOMIC_RELAXED);
	return p;
}

static void take_back(void *element, void *data)
{
	(void)data;
	__atomic_fetch_add(&taken_back, 1, __ATOMIC_RELAXED);
	kfree_nolock(element);
}

static mempool_t *pool;
static void *got[MOST], *other[MOST];

static bool begin(int min_nr)
{
	refuse = false;
	given = taken_back = 0;
	pool = mempool_create(min_nr, give, take_back, NULL);
	EXPECT(pool != NULL);
	return pool;
}

static void end(void)
{
	refuse = false;
	EXPECT(mempool_is_saturated(pool));
	EXPECT_EQ(mempool_destroy(pool), 0);
	EXPECT_EQ(given, taken_back);
}

/* ---- the reserve ---- */

static void take_exactly(void *n)
{
	u64 most = (u64)n;

	for (u64 i = 0; i < most; i++) {
		got[i] = mempool_alloc(pool, 0);
		EXPECT(got[i] != NULL);
		for (u64 k = 0; k < i; k++)
			EXPECT(got[k] != got[i]);
	}
	EXPECT(!mempool_alloc(pool, 0));
}

static void give_all(void *n)
{
	for (u64 i = 0; i < (u64)n; i++)
		mempool_free(got[i], pool);
}

TEST(mempool, reserve,
     "with its function refusing a pool gives exactly its reserve, in every context, and is filled first")
{
	REQUIRE(begin(RESERVE));
	refuse = true;
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		for (unsigned int back = 0; back < NR_CONTEXT; back++) {
			run_in((enum context)ctx, num_online_cpus() - 1, take_exactly, (void *)RESERVE);
			EXPECT_EQ(mempool_in_reserve(pool), 0);
			run_in((enum context)back, 0, give_all, (void *)RESERVE);
			EXPECT_EQ(mempool_in_reserve(pool), RESERVE);
		}
	EXPECT_EQ(taken_back, 0);
	end();
}

TEST(mempool, function_first, "while its function gives, the reserve stays full, and what is too much goes back to it")
{
	REQUIRE(begin(RESERVE));
	for (unsigned int i = 0; i < MOST; i++)
		got[i] = mempool_alloc(pool, GFP_KERNEL);
	EXPECT_EQ(given, RESERVE + MOST);
	EXPECT(mempool_is_saturated(pool));
	for (unsigned int i = 0; i < MOST; i++)
		mempool_free(got[i], pool);
	EXPECT_EQ(taken_back, MOST);
	mempool_free(NULL, pool);
	end();
}

/* With all memory taken: what the pool's function can still find, to other[]; how many. */
static unsigned int use_up(void)
{
	unsigned int n = 0;

	for (; n < MOST; n++) {
		other[n] = mempool_alloc(pool, GFP_KERNEL);
		if (!mempool_is_saturated(pool))
			break;
	}
	EXPECT(n < MOST && other[n]);
	mempool_free(other[n], pool);
	return n;
}

static void check_backed(void)
{
	REQUIRE(pool != NULL);
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
		unsigned int n;

		ballast_take_all();
		n = use_up();
		run_in((enum context)ctx, num_online_cpus() - 1, take_exactly, (void *)RESERVE);
		run_in((enum context)ctx, 0, give_all, (void *)RESERVE);
		EXPECT(mempool_is_saturated(pool));
		while (n)
			mempool_free(other[--n], pool);
		ballast_give();
	}
	EXPECT_EQ(mempool_destroy(pool), 0);
}

TEST(mempool, backed, "pools of a cache, of kmalloc and of pages give their reserve when no memory is left")
{
	struct kmem_cache *s = kmem_cache_create("pool", 200, 0, 0, NULL);

	REQUIRE(s != NULL);
	pool = mempool_create_slab_pool(RESERVE, s);
	check_backed();
	pool = mempool_create_kmalloc_pool(RESERVE, 5000);
	check_backed();
	pool = mempool_create_page_pool(RESERVE, 3);
	check_backed();
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

/* ---- all at once ---- */

#define ROUNDS 3000
#define EACH 3 /* elements that one context holds at most */

static u64 refused[NR_CPUS], nmis;

static void some(u64 *failed)
{
	void *p[EACH];

	for (unsigned int i = 0; i < EACH; i++) {
		p[i] = mempool_alloc(pool, 0);
		*failed += !p[i];
		if (p[i])
			*(u64 *)p[i] = (u64)&p[i];
	}
	for (unsigned int i = 0; i < EACH; i++) {
		if (!p[i])
			continue;
		EXPECT_EQ(*(u64 *)p[i], (u64)&p[i]);
		mempool_free(p[i], pool);
	}
}

static void on_nmi(struct regs *r)
{
	(void)r;
	__atomic_fetch_add(&nmis, 1, __ATOMIC_RELAXED);
	some(&refused[smp_processor_id()]);
}

static void hammer(void *unused)
{
	u64 *failed = &refused[smp_processor_id()];
	unsigned int other = (smp_processor_id() + 1) % num_online_cpus();

	(void)unused;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		some(failed);
		if (i % 8 == 0)
			arch_send_nmi(i % 16 ? other : smp_processor_id());
		if (i % 64 == 0)
			refuse_light = i & 64;
	}
}

static u64 refused_by_any(void)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		n += refused[cpu];
	return n;
}

static void begin_hammer(void)
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		refused[cpu] = 0;
	nmis = 0;
	refuse_light = true;
	set_nmi_hook(on_nmi);
}

static void end_hammer(void)
{
	set_nmi_hook(NULL);
	hook_sync();
	refuse_light = false;
}

TEST(mempool, never_refused,
     "threads and NMIs of all CPUs that together hold no more than the reserve are never refused")
{
	/* Each thread and each NMI, and an NMI inside an NMI's way out. */
	REQUIRE(begin((int)(num_online_cpus() * EACH * 3)));
	begin_hammer();
	on_each_cpu_thread(hammer, NULL);
	end_hammer();
	EXPECT_EQ(refused_by_any(), 0);
	EXPECT(nmis > 0);
	test_note("%lu NMIs, %lu elements of the function", nmis, given);
	end();
}

/* ---- other sizes ---- */

TEST(mempool, resize, "a reserve grows and shrinks to any size, and has exactly so many elements")
{
	static const int sizes[] = { 1, 2, 64, 65, 5, 300, 299, 100, 1 };

	REQUIRE(begin(7));
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		EXPECT_EQ(mempool_resize(pool, sizes[i]), 0);
		EXPECT_EQ(mempool_in_reserve(pool), sizes[i]);
		refuse = true;
		take_exactly((void *)(u64)sizes[i]);
		give_all((void *)(u64)sizes[i]);
		refuse = false;
		EXPECT_EQ(given - taken_back, sizes[i]);
	}
	end();
}

TEST(mempool, resize_out, "a reserve that is out while its size changes comes back as far as there is room")
{
	REQUIRE(begin(RESERVE));
	refuse = true;
	take_exactly((void *)RESERVE);
	EXPECT_EQ(mempool_resize(pool, RESERVE + 5), -ENOMEM);
	EXPECT_EQ(mempool_resize(pool, 4), 0);
	give_all((void *)RESERVE);
	EXPECT_EQ(mempool_in_reserve(pool), 4);
	EXPECT_EQ(taken_back, RESERVE - 4);
	end();
}

static u64 refuse_from;

static void *give_few(gfp_t gfp, void *data)
{
	return given >= refuse_from ? NULL : give(gfp, data);
}

TEST(mempool, all_or_nothing, "a pool, or a larger reserve, that cannot be had completely is not had at all")
{
	refuse = false;
	for (refuse_from = 0; refuse_from < RESERVE; refuse_from += 3) {
		given = taken_back = 0;
		EXPECT(!mempool_create(RESERVE, give_few, take_back, NULL));
		EXPECT_EQ(given, taken_back);
	}
	given = taken_back = 0;
	refuse_from = RESERVE;
	pool = mempool_create(RESERVE - 5, give_few, take_back, NULL);
	REQUIRE(pool != NULL);
	EXPECT_EQ(mempool_resize(pool, RESERVE + 1), -ENOMEM);
	EXPECT_EQ(mempool_in_reserve(pool), RESERVE - 5);
	refuse_from = ~0UL;
	EXPECT_EQ(mempool_resize(pool, RESERVE + 1), 0);
	end();
}

static void *round_element; /* what the pool's function has just been given, and gives next */
static bool round_on;

static void *give_round(gfp_t gfp, void *data)
{
	void *p = round_element;

	round_element = NULL;
	return p ? p : give_few(gfp, data);
}

/* The first instant at which the element can be had again: somebody has it, and frees it. */
static void take_back_round(void *element, void *data)
{
	if (!round_on) {
		take_back(element, data);
		return;
	}
	round_on = false;
	round_element = element;
	EXPECT(mempool_alloc(pool, 0) == element);
	mempool_free(element, pool);
	round_on = true;
}

TEST(mempool, dropped_comes_round,
     "an element that a resize gives away may be had and freed again before that call returns: no report, none lost")
{
	refuse = false;
	given = taken_back = 0;
	refuse_from = RESERVE + 3;
	pool = mempool_create(RESERVE, give_round, take_back_round, NULL);
	REQUIRE(pool != NULL);
	refuse = true;
	got[0] = mempool_alloc(pool, 0);
	EXPECT(got[0] != NULL);
	refuse = false;
	round_on = true;
	EXPECT_EQ(mempool_resize(pool, RESERVE + 5), -ENOMEM);
	EXPECT_EQ(given, RESERVE + 3);
	EXPECT_EQ(mempool_in_reserve(pool), RESERVE); /* the first of them is in got[0]'s place */
	EXPECT_EQ(mempool_resize(pool, RESERVE - 5), 0);
	round_on = false;
	mempool_free(got[0], pool);
	end();
}

static void resize_often(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < ROUNDS / 4; i++)
		EXPECT_EQ(mempool_resize(pool, 1 + (int)(i * 37 % 200)), 0);
}

static void resize_on_first(void *arg)
{
	if (smp_processor_id())
		hammer(arg);
	else
		resize_often(arg);
}

TEST(mempool, resize_in_use, "the size changes again and again while other CPUs and NMIs use the pool: nothing is lost")
{
	REQUIRE(begin(RESERVE));
	begin_hammer();
	on_each_cpu_thread(resize_on_first, NULL);
	end_hammer();
	refuse = false;
	EXPECT_EQ(mempool_resize(pool, RESERVE), 0);
	EXPECT_EQ(given - taken_back, mempool_in_reserve(pool));
	test_note("%lu NMIs, %lu elements of the function", nmis, given);
	end();
}

/* ---- bad calls ---- */

static void free_twice(void *p)
{
	mempool_free(p, pool);
}

static void alloc_zeroed(void *p)
{
	EXPECT(!mempool_alloc(p, __GFP_ZERO));
}

TEST(mempool, bad_calls, "an element freed twice and __GFP_ZERO are reported in every context")
{
	struct bad_call twice, zero;

	reports_begin();
	REQUIRE(begin(RESERVE));
	refuse = true;
	take_exactly((void *)RESERVE);
	mempool_free(got[0], pool);
	twice = (struct bad_call){ free_twice, got[0], "mempool_free", got[0], "in reserve already" };
	zero = (struct bad_call){ alloc_zeroed, pool, "mempool_alloc", pool, "__GFP_ZERO" };
	expect_bad(&twice, ALL_CONTEXTS);
	expect_bad(&zero, ALL_CONTEXTS);
	EXPECT_EQ(mempool_in_reserve(pool), 1);
	for (unsigned int i = 1; i < RESERVE; i++)
		mempool_free(got[i], pool);
	end();
}

static void destroy_early(void *unused)
{
	(void)unused;
	EXPECT_EQ(mempool_destroy(pool), -EBUSY);
}

static void create_bad(void *min_nr)
{
	EXPECT(!mempool_create((int)(s64)min_nr, give, take_back, NULL));
}

static void create_without(void *unused)
{
	(void)unused;
	EXPECT(!mempool_create(1, NULL, take_back, NULL) && !mempool_create(1, give, NULL, NULL));
}

static void resize_bad(void *min_nr)
{
	EXPECT_EQ(mempool_resize(pool, (int)(s64)min_nr), -EINVAL);
}

TEST(mempool, refused_calls, "sizes out of range, no function, and a pool destroyed with elements out: reported, nothing done")
{
	reports_begin();
	REQUIRE(begin(RESERVE));
	expect_reports_here(create_bad, (void *)0, 1, "out of range");
	expect_reports_here(create_bad, (void *)-1L, 1, "out of range");
	expect_reports_here(create_bad, (void *)(MEMPOOL_MAX + 1L), 1, "out of range");
	expect_reports_here(create_without, NULL, 2, "no function");
	expect_reports_here(resize_bad, (void *)0, 1, "out of range");
	refuse = true;
	got[0] = mempool_alloc(pool, 0);
	expect_reports_here(destroy_early, NULL, 1, "still out: 19 of 20");
	mempool_free(got[0], pool);
	EXPECT_EQ(mempool_destroy(NULL), 0);
	end();
}
