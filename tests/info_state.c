/*
 * info_state.c - what a panic tells of the allocator (mm/state.c): right to the last page
 * and object, also of what is under way; at any instruction; and of damaged words.
 */
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include "tests/caught.h"
#include "kernel/run_in.h"
#include "tests/keep.h"
#include "tests/step.h"
#include "tests/test.h"

static struct kmem_cache *cache;

/* The CPU's line, behind its number. */
static const char *line_of(const char *text, unsigned int cpu)
{
	char begin[24];

	snprintf(begin, sizeof(begin), "  CPU %u keeps ", cpu);
	return line_with(text, begin);
}

static bool line_says(const char *p, const char *words)
{
	for (; p && *p && *p != '\n'; p++)
		if (!strncmp(p, words, strlen(words)))
			return true;
	return false;
}

static void expect_cpu(const char *text, unsigned int cpu, u64 pages, u64 objects, u64 later, u64 slabs)
{
	const char *p = line_of(text, cpu);

	REQUIRE(p != NULL);
	EXPECT_EQ(number_in(&p), pages);
	EXPECT_EQ(number_in(&p), objects);
	EXPECT_EQ(number_in(&p), later);
	EXPECT_EQ(number_in(&p), slabs);
}

static u64 objects_kept(unsigned int cpu)
{
	u64 n = 0;

	for (u32 id = 1; id < MAX_CACHES; id++)
		n += caches[id].live ? magazine_count(&caches[id], cpu) : 0;
	return n;
}

/* ---- at rest, and with what is under way ---- */

static void expect_all_cpus(u64 slabs_in_hand)
{
	const char *text = caught_of(mm_print_state);

	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		expect_cpu(text, cpu, page_private(cpu), objects_kept(cpu), defer_count(cpu), cpu ? 0 : slabs_in_hand);
	EXPECT_EQ(line_says(line_of(text, 0), "a change of the map"), hint_open_here());
	EXPECT(!line_says(line_of(text, 0), "held for a block"));
}

static void keep_some(void *unused)
{
	void *p[8];
	struct page *page = alloc_pages(GFP_KERNEL, 0);

	(void)unused;
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = kmalloc(32UL << i, GFP_KERNEL);
	for (unsigned int i = 0; i <= smp_processor_id() % ARRAY_SIZE(p); i++)
		kfree(p[i]);
	for (unsigned int i = smp_processor_id() % ARRAY_SIZE(p) + 1; i < ARRAY_SIZE(p); i++)
		kfree(p[i]);
	free_pages(page, 0);
}

TEST(info, state, "the panic's view tells what each CPU keeps, slabs in hand, and a change of the map under way")
{
	unsigned int slot[2];
	u64 flags;

	on_each_cpu_thread(keep_some, NULL);
	flags = arch_irq_save();
	expect_all_cpus(0);
	slot[0] = hand_open(NULL);
	expect_all_cpus(1);
	slot[1] = hand_open(NULL);
	expect_all_cpus(2);
	hint_begin();
	expect_all_cpus(2);
	hint_end();
	hand_close(slot[1]);
	hand_close(slot[0]);
	expect_all_cpus(0);
	arch_irq_restore(flags);
}

/* The magazine is full, so what an NMI frees has to wait. */
#define LATER 5
static void *later[LATER];

static void free_them(void *unused)
{
	(void)unused;
	for (unsigned int i = 0; i < LATER; i++)
		kfree_nolock(later[i]);
}

static bool fill_magazine(void)
{
	static void *objs[2 * MAG_SLOTS];
	u64 n = mm_kept_by(cache);

	for (u64 i = 0; i < n + LATER; i++) {
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		if (!objs[i])
			return false;
	}
	for (u64 i = 0; i < LATER; i++)
		later[i] = objs[n + i];
	magazine_flush(cache, ~0UL);
	for (u64 i = 0; i < n; i++)
		kmem_cache_free(cache, objs[i]);
	return magazine_count(cache, 0) == n;
}

TEST(info, state_deferred, "and how many frees wait for an interrupt")
{
	u64 flags;

	if (!needs_magazines(64))
		return;
	test_frees_at_once();
	cache = kmem_cache_create("state", 64, 0, 0, NULL);
	REQUIRE(cache != NULL);
	flags = arch_irq_save();
	EXPECT(fill_magazine());
	run_in(CTX_NMI, 0, free_them, NULL);
	EXPECT_EQ(defer_count(0), LATER);
	expect_all_cpus(0);
	arch_irq_restore(flags);
	defer_free_barrier();
	expect_all_cpus(0);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

TEST(info, state_cache, "each cache that has slabs has a line: how many, and how many of its objects CPUs keep")
{
	static void *objs[50];
	const char *text, *p;
	u64 slabs = 0;

	cache = kmem_cache_create("state-cache", 500, 0, 0, NULL);
	REQUIRE(cache != NULL);
	EXPECT(!line_with(caught_of(mm_print_state), "  cache state-cache: "));
	for (unsigned int i = 0; i < ARRAY_SIZE(objs); i++)
		objs[i] = kmem_cache_alloc(cache, GFP_KERNEL);
	text = caught_of(mm_print_state);
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		slabs += per_cpu_ptr(cache_cpu[cache->id], cpu)->slabs;
	p = line_with(text, "  cache state-cache: ");
	REQUIRE(p && slabs);
	EXPECT_EQ(number_in(&p), slabs);
	EXPECT_EQ(number_in(&p), magazine_count(cache, 0));
	for (unsigned int i = 0; i < ARRAY_SIZE(objs); i++)
		kmem_cache_free(cache, objs[i]);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- at any instruction ---- */

#define EACH 3 /* instructions */
static u64 points, looked, with_slab, with_change, with_held, wrong;

static void look(struct regs *r)
{
	const char *text, *p;

	(void)r;
	if (points++ % EACH)
		return;
	looked++;
	text = caught_of(mm_print_state);
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		wrong += !line_of(text, cpu);
	p = line_of(text, smp_processor_id());
	with_slab += line_says(p, "in hand: 1 slabs");
	with_change += line_says(p, "a change of the map");
	with_held += line_says(p, "pages held for a block");
	wrong += line_says(text, "damaged");
}

static void long_ways(void *unused)
{
	void *obj = kmem_cache_alloc_nolock(cache, 0, NUMA_NO_NODE);
	struct page *page = alloc_pages_nolock(0, NUMA_NO_NODE, 7);

	(void)unused;
	free_pages_nolock(page, 7);
	kfree_nolock(obj);
	magazine_flush(cache, ~0UL);
	partial_trim(cache, 0);
}

TEST(info, state_anywhere, "in the middle of any call it is told, does not fault, and says what the call has under way")
{
	if (!step_possible())
		return;
	points = looked = with_slab = with_change = with_held = wrong = 0;
	cache = kmem_cache_create("state", 700, 0, 0, NULL);
	REQUIRE(cache != NULL);
	step_through(long_ways, NULL, look);
	EXPECT_EQ(wrong, 0);
	EXPECT(with_slab && with_change && with_held);
	test_note("%lu looks: %lu with a slab in hand, %lu in a change of the map, %lu with pages held", looked, with_slab,
		  with_change, with_held);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}

/* ---- damaged words ---- */

static bool told_damaged(void)
{
	return line_with(caught_of(mm_print_state), "  CPU 0: 1 magazines are damaged");
}

/* One of the magazine's three words, with interrupts off, as nobody may use it so. */
static void damage(void ***word, const u64 *values, unsigned int n)
{
	void **was = *word;
	u64 flags = arch_irq_save();

	for (unsigned int i = 0; i < n; i++) {
		WRITE_ONCE(*word, (void **)values[i]);
		EXPECT(told_damaged());
	}
	WRITE_ONCE(*word, was);
	arch_irq_restore(flags);
}

TEST(info, state_damaged, "words of a magazine that point anywhere are told as damaged, and not followed")
{
	static const u64 values[] = { 0, 8, ~0UL, 0x8000000000000000, 0xffffa00000001000, DIRECT_MAP_BASE, 0x41414141414141 };
	struct cache_cpu *c;

	if (!needs_magazines(64))
		return;
	cache = kmem_cache_create("state", 64, 0, 0, NULL);
	REQUIRE(cache != NULL);
	kmem_cache_free(cache, kmem_cache_alloc(cache, GFP_KERNEL));
	EXPECT(!told_damaged());
	c = per_cpu_ptr(cache_cpu[cache->id], 0);
	damage(&c->top, values, ARRAY_SIZE(values));
	damage(&c->floor, values, ARRAY_SIZE(values));
	damage(&c->end, values, ARRAY_SIZE(values));
	EXPECT(!told_damaged());
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
