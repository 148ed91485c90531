/*
 * check.c - mm_check itself: every invariant that it looks at is broken once, by hand,
 * and it has to say so. A checker that finds nothing would make each case pass.
 *
 * What is broken is put right before anything is allocated or freed. Each time it
 * prints the difference: those lines are expected here.
 */
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include "tests/keep.h"
#include "tests/test.h"

#define MOST 16

static struct kmem_cache *s;
static void *used, *idle[2]; /* in use; in the magazine of this CPU */
static struct page *head;    /* the slab of used */

static void expect_found(const char *what)
{
	if (!mm_check())
		test_fail(__FILE__, __LINE__, "not found: %s", what);
}

/* n bytes at p are as at wrong for the time of a check. */
static void spoil(const char *what, void *p, const void *wrong, size_t n)
{
	char right[MOST];

	memcpy(right, p, n);
	memcpy(p, wrong, n);
	expect_found(what);
	memcpy(p, right, n);
	EXPECT_EQ(mm_check(), 0);
}

static void spoil64(const char *what, u64 *p, u64 wrong)
{
	spoil(what, p, &wrong, sizeof(wrong));
}

/* In memory that is free, where a sanitizer looks as well. */
static void spoil_mark(const char *what, void *obj)
{
	mark_set(obj, s->offset, 0);
	expect_found(what);
	mark_set(obj, s->offset, free_mark);
	EXPECT_EQ(mm_check(), 0);
}

/* A slab of several pages with objects in use, in a magazine, and in its chain. */
static bool begin(void)
{
	test_frees_at_once();
	s = kmem_cache_create("check", 500, 0, 0, NULL);
	if (!s)
		return false;
	used = kmem_cache_alloc(s, GFP_KERNEL);
	idle[0] = kmem_cache_alloc(s, GFP_KERNEL);
	idle[1] = kmem_cache_alloc(s, GFP_KERNEL);
	magazine_flush(s, ~0UL);
	kmem_cache_free(s, idle[0]);
	kmem_cache_free(s, idle[1]);
	head = obj_slab(used);
	EXPECT_EQ(mm_check(), 0);
	return used && idle[0] && idle[1] && head->order && magazine_count(s, smp_processor_id()) == (s->limit ? 2 : 0);
}

static void end(void)
{
	kmem_cache_free(s, used);
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(check, slab, "the checker tells a slab's wrong count, cache, list, chain or pages")
{
	u64 st;
	u16 other = CPU_OFF(1);

	REQUIRE(begin());
	st = head->state;
	spoil64("one free object more", &head->state, st + (1UL << 10));
	spoil64("another cache", &head->state, st ^ 1UL << 20);
	spoil64("on no list", &head->state, st & ~ST_ONLIST);
	spoil_mark("no mark in the chain", slab_object(s, head, ST_HEAD(st)));
	spoil64("a page of it is free", &head[1].kind, 0);
	spoil("its pages say another cache", frame_cache(page_pfn(head)), &other, sizeof(other));
	end();
}

TEST(check, magazine, "the checker tells a magazine's wrong objects, and too many of them")
{
	struct cache_cpu *c;
	void *middle, *wild = (void *)8;
	u32 one = 1;

	if (!needs_magazines(500))
		return;
	REQUIRE(begin());
	c = this_cpu_ptr(cache_cpu[s->id]);
	middle = (char *)idle[0] + 4;
	spoil("what is no memory", &c->floor[0], &wild, sizeof(wild));
	spoil("the middle of an object", &c->floor[0], &middle, sizeof(middle));
	spoil("an object twice", &c->floor[1], &c->floor[0], sizeof(c->floor[0]));
	spoil_mark("an object without its mark", idle[0]);
	spoil("more than the limit", &s->limit, &one, sizeof(one));
	end();
}

TEST(check, cache, "the checker tells a cache's wrong counts of slabs, and slabs of a cache that is gone")
{
	struct cache_cpu *c;
	struct slab_stacks *p;
	u32 dead = 0;

	REQUIRE(begin());
	c = this_cpu_ptr(cache_cpu[s->id]);
	p = &s->partial[page_to_nid(head)];
	spoil64("one slab more", &c->slabs, c->slabs + 1);
	spoil64("one on the stacks more", &p->nr, p->nr + 1);
	spoil("a dead cache", &s->live, &dead, sizeof(dead));
	end();
}

/* A word of 64 lines for which the hint is set; NULL: in a small memory there is none. */
static u64 *hint_word(enum hint h)
{
	for (u64 i = 0; i < (nr_lines + 63) / 64; i++)
		if (hints[h][i])
			return &hints[h][i];
	return NULL;
}

static void check_hint(const char *what, enum hint h)
{
	u64 *word = hint_word(h);

	if (word)
		spoil64(what, word, 0);
	else
		test_note("left out, as there is no such hint: %s", what);
}

static u64 some_free_page(void)
{
	u64 pfn = 0;

	while (!page_is_free(pfn))
		pfn++;
	return pfn;
}

TEST(check, pages, "the checker tells missing hints, typed free pages, and wrong counts of pages")
{
	struct page_cpu *pc = this_cpu_ptr(page_cpu);
	u64 free = some_free_page();

	check_hint("no hint of free pages", HINT_ANY);
	check_hint("no hint of free lines", HINT_LINE);
	spoil64("a free page with a type", &pfn_page(free)->kind, block_kind(PT_BLOCK, 0, 1));
	spoil64("one page more in blocks", &pc->allocated[PT_BLOCK], pc->allocated[PT_BLOCK] + 1);
	hint_begin();
	expect_found("a call between map and hint");
	hint_end();
	EXPECT_EQ(mm_check(), 0);
}
