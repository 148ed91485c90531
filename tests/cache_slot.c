/*
 * cache_slot.c - a cache is destroyed, and another one made in its slot of the table, while a
 * trim that has found the first alive stands between any two of its instructions.
 *
 * The trim stands for that of another CPU, in a long NMI. Its worst moment is in front of the
 * swap that takes a slab off its stack: it knows what was behind that slab in the cache that
 * was. If the new cache's stack could come to look as the old one did, the swap would put that
 * there. So the new cache is made to have the same slab on top, of as many others, and its
 * stack is turned until its tag is the old one, if it ever was below it.
 *
 * CPU 0, thread context and debug exceptions.
 */
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/inject.h"
#include "tests/test.h"
#include <anyctx/smp.h>

#define MOST_SLABS 63
#define TURNS (2 * MOST_SLABS) /* two swaps each: a tag that the new cache does not reach by itself */
#define SIZE 8

static struct kmem_cache *cache;
static struct page *slabs[MOST_SLABS], *old_slab;
static u64 old_stack;
static int node;
static u64 made_again, same_slab;

static u64 slabs_of_cache(void)
{
	u64 n = 0;

	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		n += per_cpu_ptr(cache_cpu[cache->id], c)->slabs;
	return n;
}

/* A slab with all its objects free, on top of the first stack; NULL: no memory. */
static struct page *put_slab(void)
{
	unsigned int n;
	struct page *head = slab_new(cache, GFP_NOWAIT, NUMA_NO_NODE, false, &n);

	if (head)
		slab_publish(cache, head, 0, n);
	return head;
}

/* The slab that is on top goes off it, and back. */
static void turn(void)
{
	unsigned int slot = hand_open(NULL);
	struct page *head = partial_pop(cache, node, slot);

	if (head)
		partial_push(cache, head);
	hand_close(slot);
}

static u64 tag(u64 stack)
{
	return stack >> 32;
}

/* The cache as the trim finds it: one slab, and a tag that is not small. */
static bool begin_slab(void)
{
	old_slab = put_slab();
	if (!old_slab)
		return false;
	node = page_to_nid(old_slab);
	for (unsigned int i = 0; i < TURNS; i++)
		turn();
	old_stack = load(&cache->partial[node].stack[0]);
	return (u32)old_stack == page_pfn(old_slab);
}

/* Slabs, until the old one is among them, and others; how many, odd as it was, or 0. */
static unsigned int make_slabs(void)
{
	unsigned int n = 0;
	bool there = false;

	while (n < MOST_SLABS && (n < 3 || !there || !(n & 1))) {
		slabs[n] = put_slab();
		if (!slabs[n])
			return 0;
		there |= slabs[n++] == old_slab;
	}
	return there ? n : 0;
}

/* They go off the stack and on it again, the old one last. */
static void old_on_top(unsigned int n)
{
	unsigned int slot = hand_open(NULL);

	for (unsigned int i = 0; i < n; i++)
		partial_pop(cache, node, slot);
	for (unsigned int i = 0; i < n; i++)
		if (slabs[i] != old_slab)
			partial_push(cache, slabs[i]);
	partial_push(cache, old_slab);
	hand_close(slot);
}

/* What kmem_cache_destroy and kmem_cache_create do, which are a thread's; while the trim has a
 * slab in its hands the first of them would wait for it. */
static void another_cache(void *unused)
{
	unsigned int n;

	(void)unused;
	partial_trim(cache, node);
	if (slabs_of_cache())
		return;
	EXPECT(cache_setup(cache, (u32)(cache - caches), "slot-again", SIZE, 0, SLAB_ACCOUNT, NULL));
	made_again++;
	n = make_slabs();
	if (!n)
		return;
	same_slab++;
	old_on_top(n);
	while (tag(load(&cache->partial[node].stack[0])) < tag(old_stack))
		turn();
}

static void trim(void *unused)
{
	(void)unused;
	partial_trim(cache, node);
}

/* All that the cache has is found by a trim that nobody disturbs. */
static bool nothing_lost(void)
{
	partial_trim(cache, node);
	return !slabs_of_cache() && !cache->partial[node].nr;
}

TEST(cache_end, slot_while_trimmed,
     "a slot used again while a trim of its last cache stands at any instruction: no slab of the new one is lost")
{
	struct injection x = { .fn = trim, .nested = another_cache };
	u64 n, at, stride;

	if (!step_possible())
		return;
	made_again = same_slab = 0;
	cache = kmem_cache_create("slot-again", SIZE, 0, SLAB_ACCOUNT, NULL);
	REQUIRE(cache && begin_slab());
	n = inject_trace(&x);
	stride = inject_stride(&x, n);
	for (at = 1; at <= n && nothing_lost() && begin_slab(); at += stride)
		inject_run(&x, at);
	EXPECT(at > n);
	EXPECT(nothing_lost());
	EXPECT_EQ(mm_check(), 0);
	EXPECT(same_slab && same_slab * 4 >= made_again); /* else its page is on its way back to the free ones */
	test_note("%lu instructions, the slot used again at %lu, with the old slab on top at %lu", n, made_again, same_slab);
	EXPECT_EQ(kmem_cache_destroy(cache), 0);
}
