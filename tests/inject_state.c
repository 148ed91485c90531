/*
 * inject_state.c - known states of the allocator (inject_state.h).
 *
 * Everything is done by the public calls where they do it; an object gets into its
 * slab's chain by a free while memory is said to be tight.
 */
#include "tests/inject_state.h"
#include "lib/bits.h"
#include "mm/internal.h"
#include "mm/slab_debug.h"
#include "mm/walk.h"
#include "tests/pattern.h"
#include "tests/test.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>

#define MAX_HELD 400
#define MAX_IN_SLAB 32
#define PATTERN 64 /* bytes of a large block that are looked at */
#define MAP_EVERY 64 /* checks, one looks at the whole map */

struct kmem_cache *same, *other, *remote;
bool remote_wanted;
unsigned int state_flags;
static void *remote_object; /* the one that state_remote has had */

static void *held[MAX_HELD];
static unsigned int nr_held;
static u64 pages_before, low, high, checks;
static u64 cursor; /* where this CPU looks for pages */
static struct refill_at near[NR_PRIVATE];

/* ---- what is held ---- */

static size_t pattern_size(const void *p)
{
	size_t size = ksize(p);

	return size < PATTERN ? size : PATTERN;
}

bool hold(void *p)
{
	if (!p || nr_held == MAX_HELD) {
		EXPECT(nr_held < MAX_HELD);
		return false;
	}
	pattern_fill(p, pattern_size(p));
	held[nr_held++] = p;
	return true;
}

/* No call into mm/: what is held is not noted down there, and a third call comes there. */
static bool is_of(const void *p, const struct kmem_cache *s)
{
	const struct page *page = pfn_page(addr_pfn(p));

	return page->type == PT_SLAB && page_cpu_off(page) == CPU_OFF(s->id);
}

/* The last one of s, not held any longer; NULL: there is none. */
static void *held_last_of(const struct kmem_cache *s)
{
	for (unsigned int i = nr_held; i--;)
		if (is_of(held[i], s)) {
			void *p = held[i];

			held[i] = held[--nr_held];
			return p;
		}
	return NULL;
}

void *let_go(void)
{
	void *p = held_last_of(same);

	EXPECT(p != NULL);
	return p;
}

unsigned int held_of(const struct kmem_cache *s)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr_held; i++)
		n += is_of(held[i], s);
	return n;
}

static u64 held_pages(void)
{
	u64 n = 0;

	for (unsigned int i = 0; i < nr_held; i++)
		if (virt_to_page(held[i])->type != PT_SLAB)
			n += 1UL << virt_to_page(held[i])->order;
	return n;
}

static void drop_all(void)
{
	while (nr_held)
		kfree(held[--nr_held]);
}

/* ---- states ---- */

void state_tight(bool on)
{
	tight_low = on ? 1UL << 40 : low;
	tight_high = on ? 1UL << 40 : high;
	__atomic_store_n(&mm_tight, on, __ATOMIC_SEQ_CST);
	if (on) {
		page_flush_cpu();
		magazine_close(same);
		magazine_close(other);
		magazine_close(remote);
		return;
	}
	magazine_open(same);
	magazine_open(other);
	magazine_open(remote);
}

static void empty(struct kmem_cache *s)
{
	magazine_open(s);
	magazine_flush(s, ~0UL);
	for (int nid = 0; nid < (int)num_nodes(); nid++)
		partial_trim(s, nid);
}

/* The same way to the same pages each time. */
static void look_from_where_we_began(void)
{
	struct page_cpu *pc = this_cpu_ptr(page_cpu);

	WRITE_ONCE(pc->cursor, cursor);
	for (unsigned int i = 0; i < NR_PRIVATE; i++)
		pc->near[i] = near[i];
}

void state_reset(void)
{
	state_tight(false);
	drop_all();
	defer_serve();
	empty(same);
	empty(other);
	empty(remote);
	page_flush_cpu();
	look_from_where_we_began();
}

/* Before the other states, which say what this CPU has at hand. */
void state_remote(void)
{
	if (!remote_wanted)
		return;
	remote_object = kmem_cache_alloc(remote, GFP_NOWAIT);
	EXPECT(hold(remote_object));
	magazine_flush(remote, ~0UL);
	page_flush_cpu();
	look_from_where_we_began();
}

void *remote_let_go(void)
{
	return held_last_of(remote);
}

/* Into their slabs' chains. */
static void free_to_chain(void *const *objs, unsigned int n)
{
	bool was = mm_tight;

	state_tight(true);
	for (unsigned int i = 0; i < n; i++)
		kmem_cache_free(same, objs[i]);
	state_tight(was);
}

void state_chain(unsigned int n)
{
	void *objs[MAX_IN_SLAB];

	for (unsigned int i = 0; i < same->objects; i++)
		EXPECT(hold(kmem_cache_alloc(same, GFP_NOWAIT)));
	for (unsigned int i = 0; i < n; i++)
		objs[i] = let_go();
	free_to_chain(objs, n);
}

void state_magazine(unsigned int n)
{
	while (n--)
		kmem_cache_free(same, let_go());
}

/* Nobody defers frees of a cache without magazines. */
void state_deferred(unsigned int n)
{
	if (!same->limit) {
		state_magazine(n);
		return;
	}
	state_magazine(SAME_LIMIT - (unsigned int)magazine_count(same, 0));
	while (n--) {
		void *p = let_go();

		object_give(same, p, same->offset);
		EXPECT(defer_free(p));
	}
}

void state_empty_slab(void)
{
	void *objs[MAX_IN_SLAB];

	for (unsigned int i = 0; i < same->objects; i++)
		objs[i] = kmem_cache_alloc(same, GFP_NOWAIT);
	free_to_chain(objs, same->objects);
}

void state_private(void)
{
	free_pages(alloc_pages(GFP_NOWAIT, 0), 0);
	free_pages(alloc_pages(GFP_NOWAIT, 2), 2);
}

/* ---- begin and end ---- */

static void limit_magazines(struct kmem_cache *s)
{
	if (!s->limit)
		return; /* it has none */
	s->limit = SAME_LIMIT;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		magazine_setup(s, cpu, &s->magazines[cpu]);
}

/* All slabs of one order, so that they can be counted. */
static void make_alike(struct kmem_cache *s)
{
	s->order = s->min_order;
	s->objects = s->min_objects;
}

bool states_begin(void)
{
	bool debug = slab_debug_flags("inject-same", state_flags) & SLAB_DEBUG_FLAGS;

	test_frees_at_once();
	same = kmem_cache_create("inject-same", debug ? 56 : 200, 0, state_flags, NULL);
	other = kmem_cache_create("inject-other", debug ? 40 : 32, 0, state_flags, NULL);
	remote = kmem_cache_create("inject-remote", 48, 0, state_flags, NULL);
	if (!same || !other || !remote)
		return false;
	make_alike(same);
	make_alike(other);
	make_alike(remote);
	if (same->objects > MAX_IN_SLAB)
		return false;
	limit_magazines(same);
	low = tight_low;
	high = tight_high;
	page_flush_cpu();
	cursor = this_cpu_ptr(page_cpu)->cursor;
	for (unsigned int i = 0; i < NR_PRIVATE; i++)
		near[i] = this_cpu_ptr(page_cpu)->near[i];
	state_others_have();
	checks = 0;
	remote_wanted = true;
	remote_object = NULL;
	return true;
}

void states_end(void)
{
	state_reset();
	EXPECT_EQ(kmem_cache_destroy(same), 0);
	EXPECT_EQ(kmem_cache_destroy(other), 0);
	EXPECT_EQ(kmem_cache_destroy(remote), 0);
}

/* ---- is all there? ---- */

static u64 slabs_of(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		n += per_cpu_ptr(cache_cpu[s->id], cpu)->slabs;
	return n;
}

/* The chain's own length: the count in the state word may say something else. */
static u64 chain_length(const struct kmem_cache *s, const struct page *head)
{
	u32 idx = ST_HEAD(head->state), n = 0;

	for (; idx < s->objects && n <= s->objects; n++)
		idx = link_get(s, slab_object(s, head, idx));
	return n;
}

static u64 idle_on(const struct kmem_cache *s, u64 stack)
{
	u64 n = 0, steps = 0;

	for (u32 pfn = (u32)stack; pfn && steps++ < managed_pages; pfn = pfn_page(pfn)->next)
		n += chain_length(s, pfn_page(pfn));
	return n;
}

/* Objects of s that are free somewhere. */
static u64 idle_of(const struct kmem_cache *s)
{
	u64 n = 0;

	for (unsigned int nid = 0; nid < num_nodes(); nid++)
		for (unsigned int i = 0; i < 2; i++)
			n += idle_on(s, s->partial[nid].stack[i]);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		n += magazine_count(s, cpu);
		for (u64 i = 0; i < defer_count(cpu); i++)
			n += page_cpu_off(virt_to_page(defer_peek(cpu, i))) == CPU_OFF(s->id);
	}
	return n;
}

static bool objects_add_up(const struct kmem_cache *s)
{
	return idle_of(s) + held_of(s) == slabs_of(s) * s->objects;
}

static bool map_adds_up(void)
{
	u64 n = 0;

	for (u64 w = 0; w < nr_lines * LINE_WORDS; w++)
		n += popcount32(free_map_of(w));
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		for (unsigned int i = 0; i < NR_PRIVATE; i++)
			n += popcount32((u32)per_cpu_ptr(page_cpu, cpu)->private[i]);
	return n == nr_free_pages();
}

/* Pages that are free, or the tests' own. */
/* A cache that is made has its magazines from one of kmalloc's, which may keep the slab. */
static u64 pages_for_magazines(void)
{
	u64 size = arch_nr_cpus_found() * sizeof(struct magazine);
	const struct kmem_cache *s;

	if (size > KMALLOC_MAX_CACHE_SIZE)
		return 0;
	s = &caches[__kmalloc_class_of(size)];
	return slabs_of(s) << s->order;
}

static u64 own_pages(void)
{
	u64 in_slabs = (slabs_of(same) << same->order) + (slabs_of(other) << other->order) +
		       (slabs_of(remote) << remote->order) + pages_for_magazines();

	return nr_free_pages() + in_slabs + held_pages();
}

void state_others_have(void)
{
	pages_before = own_pages();
}

static bool anything_cached(void)
{
	for (unsigned int i = 0; i < NR_PRIVATE; i++)
		if ((u32)this_cpu_ptr(page_cpu)->private[i])
			return true;
	return magazine_count(same, 0) || magazine_count(other, 0) || magazine_count(remote, 0);
}

static const char *unsound_now(void)
{
	for (unsigned int i = 0; i < nr_held; i++)
		if (!pattern_ok(held[i], pattern_size(held[i])))
			return "contents of a block that is held";
	if (!objects_add_up(same))
		return "objects of the same cache";
	if (!objects_add_up(other))
		return "objects of the other cache";
	if (!objects_add_up(remote))
		return "objects of the remote cache";
	if (magazine_count(same, 0) > same->limit || magazine_count(other, 0) > other->limit)
		return "more in a magazine than it may hold";
	if (mm_tight && anything_cached())
		return "something is kept while memory is tight";
	if (own_pages() != pages_before)
		return "count of free pages";
	if (checks++ % MAP_EVERY == 0 && !map_adds_up())
		return "pages in the map";
	return NULL;
}

#define REST_TRIES 200
#define REST_PAUSES 10000

/* When memory gets tight every CPU is told to trim, and may have a slab in its hands
 * while we count: what is lost stays lost, so it counts when it is so at last. */
const char *state_unsound(void)
{
	const char *why = unsound_now();

	for (unsigned int i = 0; why && num_online_cpus() > 1 && i < REST_TRIES; i++) {
		for (unsigned int k = 0; k < REST_PAUSES; k++)
			cpu_relax();
		why = unsound_now();
	}
	return why;
}
