/*
 * slab_debug_user.c - who allocated and freed an object, what a report prints, layouts of
 * debugged caches, and the argument slab_debug=.
 */
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "tests/pattern.h"
#include "tests/slab_debug.h"
#include "tests/test.h"

static bool contains(const char *text, const char *word)
{
	for (; *text; text++)
		if (!strncmp(text, word, strlen(word)))
			return true;
	return false;
}

/* ---- who ---- */

static void expect_track(const void *obj, enum track which, enum context ctx, unsigned int cpu, const char *by)
{
	const struct slab_track *t = slab_debug_track(debug_cache, obj, which);
	char symbol[96] = "";

	EXPECT_EQ(t->used, 1);
	EXPECT_EQ(t->context, context_of_place(ctx));
	EXPECT_EQ(t->cpu, cpu);
	print_symbol(symbol, sizeof(symbol), t->addr[0]);
	if (!contains(symbol, by))
		test_fail(__FILE__, __LINE__, "called by %s, not %s", symbol, by);
	EXPECT(t->addr[1] && !mm_in_text(t->addr[1]));
}

/* Any calls, so that the names are theirs. */
static __noinline void *taken_by_this(void)
{
	void *p = kmem_cache_alloc_nolock(debug_cache, 0, NUMA_NO_NODE);

	barrier();
	return p;
}

static __noinline void given_by_this(void *p)
{
	kfree_nolock(p);
	barrier();
}

static void take(void *unused)
{
	(void)unused;
	debug_got = taken_by_this();
	barrier();
}

static void give(void *p)
{
	given_by_this(p);
	barrier();
}

static void owner_everywhere(enum context ctx, unsigned int cpu)
{
	for (unsigned int other = 0; other < NR_CONTEXT; other++) {
		enum context freer = (enum context)((ctx + other) % NR_CONTEXT);
		unsigned int there = num_online_cpus() - 1 - cpu;

		run_in(ctx, cpu, take, NULL);
		REQUIRE(debug_got != NULL);
		expect_track(debug_got, TRACK_ALLOC, ctx, cpu, "taken_by_this+");
		run_in(freer, there, give, debug_got);
		expect_track(debug_got, TRACK_ALLOC, ctx, cpu, "taken_by_this+");
		expect_track(debug_got, TRACK_FREE, freer, there, "given_by_this+");
	}
}

TEST(slab_debug, owner, "each object knows who allocated and who freed it: context, CPU and backtrace, in all pairs")
{
	REQUIRE(debug_begin(SLAB_STORE_USER, NULL));
	EXPECT(!slab_debug_track(debug_cache, debug_obj, TRACK_FREE)->used);
	debug_everywhere(owner_everywhere);
	debug_end();
}

/* ---- what is printed ---- */

#define TEXT 8192
static char text[TEXT + 1];
static u64 text_len;

static bool tap(const char *line, size_t len)
{
	u64 at = __atomic_fetch_add(&text_len, len, __ATOMIC_RELAXED);

	if (at + len <= TEXT)
		memcpy(text + at, line, len);
	return true;
}

static void expect_printed(const char *words)
{
	if (!contains(text, words))
		test_fail(__FILE__, __LINE__, "not printed: %s", words);
}

static void print_everywhere(enum context ctx, unsigned int cpu)
{
	void *p;

	REQUIRE(debug_begin(SLAB_DEBUG_FLAGS, NULL));
	kmem_cache_free(debug_cache, debug_obj);
	debug_obj = NULL;
	run_in(CTX_NMI, 0, take, NULL);
	p = debug_got;
	REQUIRE(p != NULL);
	memset(p, 0x5a, DEBUG_SIZE);
	debug_scribble(p, DEBUG_SIZE + 3, 0x2a, 2);
	memset(text, 0, sizeof(text));
	text_len = 0;
	printk_flush();
	printk_set_tap(tap);
	mm_reports_quiet(false);
	run_in(ctx, cpu, give, p);
	printk_flush();
	printk_set_tap(NULL);
	mm_reports_quiet(true);
	expect_printed("of debugged, 24 bytes, number ");
	expect_printed("bytes from 11 on: 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a 5a cc cc cc\n");
	expect_printed("bytes from 27 on: 2a 2a cc cc cc ");
	expect_printed("allocated on CPU 0 in nmi by\n");
	expect_printed("  taken_by_this+");
	expect_printed("freed on CPU 0 in thread by\n");
	expect_printed("pages managed");
	expect_printed("mm: bad call: kfree_nolock(");
	expect_printed(": debugged: red zone behind the object: byte 27 is 2a, not cc, 2 in all; slab isolated\n");
	debug_end();
}

TEST(slab_debug, printed, "a report shows the bytes, both owners and the state of the slab and of the allocator")
{
	test_expect_reports(NR_PLACES * (num_online_cpus() > 1 ? 2 : 1));
	debug_everywhere(print_everywhere);
}

/* ---- layouts, contents ---- */

#define NR_OBJS 40
static u8 *objs[NR_OBJS];
static size_t built_size;

static void build(void *obj)
{
	pattern_fill(obj, built_size);
}

static void expect_fresh(const u8 *p, size_t size, const struct kmem_cache *s)
{
	if (s->ctor) {
		EXPECT(pattern_ok(p, size));
		return;
	}
	for (size_t k = 0; k < size && s->flags & SLAB_POISON; k++)
		if (p[k] != (init_on_alloc ? 0 : 0x5a)) {
			test_fail(__FILE__, __LINE__, "size %lu: byte %lu of a new object is %02x", size, k, p[k]);
			return;
		}
}

static void check_layout(size_t size, size_t align, unsigned int flags, bool ctor)
{
	struct kmem_cache *s;

	built_size = size;
	s = kmem_cache_create("layout", size, align, flags, ctor ? build : NULL);
	REQUIRE(s != NULL);
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int i = 0; i < NR_OBJS; i++) {
			objs[i] = kmem_cache_alloc_nolock(s, 0, NUMA_NO_NODE);
			REQUIRE(objs[i] != NULL);
			EXPECT_EQ((u64)objs[i] & ((align > 8 ? align : 8) - 1), 0);
			expect_fresh(objs[i], size, s);
			pattern_fill(objs[i], size);
		}
		for (unsigned int i = 0; i < NR_OBJS; i++) {
			EXPECT(pattern_ok(objs[i], size));
			EXPECT_EQ(ksize(objs[i]), size);
			kfree_nolock(objs[i]);
		}
	}
	EXPECT_EQ(kmem_cache_destroy(s), 0);
}

TEST(slab_debug, layout, "debugged objects of any size, alignment and flags are aligned, whole, new ones 0x5a or constructed")
{
	static const size_t sizes[] = { 1, 4, 7, 8, 24, 64, 65, 200, 513, 2048, 4096, 5000, 8191, 8192 };
	static const unsigned int flags[] = { SLAB_CONSISTENCY_CHECKS, SLAB_RED_ZONE, SLAB_POISON, SLAB_STORE_USER,
					      SLAB_RED_ZONE | SLAB_POISON, SLAB_DEBUG_FLAGS };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		for (unsigned int k = 0; k < ARRAY_SIZE(flags); k++)
			for (size_t align = 8; align <= PAGE_SIZE; align *= 8) {
				check_layout(sizes[i], align, flags[k], false);
				check_layout(sizes[i], align, flags[k] | SLAB_HWCACHE_ALIGN, true);
			}
}

TEST(slab_debug, zeroed, "__GFP_ZERO clears an object of a debugged cache, and its red zones stay")
{
	u8 *p;

	REQUIRE(debug_begin(SLAB_DEBUG_FLAGS, NULL));
	for (unsigned int i = 0; i < 50; i++) {
		p = kmem_cache_alloc_nolock(debug_cache, __GFP_ZERO, NUMA_NO_NODE);
		REQUIRE(p != NULL);
		for (unsigned int k = 0; k < DEBUG_SIZE; k++)
			EXPECT_EQ(p[k], 0);
		memset(p, 0xff, DEBUG_SIZE);
		kmem_cache_free(debug_cache, p);
	}
	debug_end();
}

/* ---- the argument ---- */

static const struct {
	const char *text, *name;
	unsigned int flags;
} arguments[] = {
	{ "FZPU", "x", SLAB_DEBUG_FLAGS },
	{ "fz", "x", SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE },
	{ "P", "x", SLAB_POISON },
	{ "FZ,kmalloc-64", "kmalloc-64", SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE },
	{ "FZ,kmalloc-64", "kmalloc-6", 0 },
	{ "FZ,kmalloc-64", "kmalloc-640", 0 },
	{ "U,a,kmalloc-64,dentry*", "dentry_cache", SLAB_STORE_USER },
	{ "U,a,kmalloc-64,dentry*", "dentry", SLAB_STORE_USER },
	{ "U,a,kmalloc-64,dentry*", "dentr", 0 },
	{ "U,a,kmalloc-64,dentry*", "a", SLAB_STORE_USER },
	{ ",dentry", "dentry", SLAB_DEBUG_FLAGS },
	{ ",dentry", "inode", 0 },
	{ "FZ,kmalloc-64;U", "kmalloc-64", SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE },
	{ "FZ,kmalloc-64;U", "inode", SLAB_STORE_USER },
	{ "P;-,kmalloc*", "kmalloc-8k", 0 },
	{ "P;-,kmalloc*", "other", SLAB_POISON },
	{ "-", "x", 0 },
};

TEST(slab_debug, argument, "slab_debug= names flags and caches as Linux's does; what is no letter is told")
{
	for (unsigned int i = 0; i < ARRAY_SIZE(arguments); i++) {
		unsigned int flags = slab_debug_flags_of(arguments[i].text, arguments[i].name);

		if (flags != arguments[i].flags)
			test_fail(__FILE__, __LINE__, "%s, cache %s: flags %x, expected %x", arguments[i].text,
				  arguments[i].name, flags, arguments[i].flags);
		EXPECT(!slab_debug_bad_text(arguments[i].text));
	}
	EXPECT(slab_debug_bad_text("FZX"));
	EXPECT(slab_debug_bad_text("F,a;Q,b"));
	EXPECT(slab_debug_bad_text("-F"));
}
