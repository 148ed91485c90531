/*
 * badcall.c - bad calls in every context, and their reports (badcall.h).
 */
#include "tests/badcall.h"
#include <arch/sanitize.h>
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/mm.h"
#include "tests/test.h"

static u64 provoked; /* by the case that runs */

static void provoke(u64 n)
{
	provoked += n;
	test_expect_reports(provoked);
}

void reports_begin(void)
{
	provoked = 0;
	provoke(0);
}

static bool contains(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (; *text; text++)
		if (!strncmp(text, word, n))
			return true;
	return !n;
}

static void check_count(const char *call, u64 before, u64 n)
{
	if (mm_reports() - before != n)
		test_fail(__FILE__, __LINE__, "%s: %lu reports, expected %lu; the last: %s", call,
			  mm_reports() - before, n, mm_last_report());
}

void expect_bad_in(const struct bad_call *b, enum context ctx, unsigned int cpu)
{
	u64 before = mm_reports();
	char start[80];

	provoke(1);
	run_in(ctx, cpu, b->fn, b->arg);
	check_count(b->call, before, 1);
	snprintf(start, sizeof(start), "%s(%lx) on CPU %u in %s: ", b->call, (u64)b->ptr, cpu,
		 context_name(context_of_place(ctx)));
	if (strncmp(mm_last_report(), start, strlen(start)) || !contains(mm_last_report(), b->word))
		test_fail(__FILE__, __LINE__, "report '%s', expected '%s...%s'", mm_last_report(), start,
			  b->word);
}

static void try_in(enum context ctx, unsigned int cpu, void *b)
{
	expect_bad_in(b, ctx, cpu);
}

void expect_bad(const struct bad_call *b, unsigned int contexts)
{
	each_place(contexts, try_in, (void *)b);
}

void expect_reports_here(void (*fn)(void *), void *arg, u64 n, const char *word)
{
	u64 before = mm_reports();

	provoke(n);
	fn(arg);
	check_count(word, before, n);
	if (n && !contains(mm_last_report(), word))
		test_fail(__FILE__, __LINE__, "report '%s', expected '...%s'", mm_last_report(), word);
}

/* ---- the calls that take an object's address ---- */

static struct kmem_cache *cache; /* what the calls by cache are given */

static void call_kfree(void *p)
{
	kfree(p);
}

static void call_kfree_nolock(void *p)
{
	kfree_nolock(p);
}

static void call_cache_free(void *p)
{
	kmem_cache_free(cache, p);
}

static void call_cache_free_nolock(void *p)
{
	kmem_cache_free_nolock(cache, p);
}

static void call_ksize(void *p)
{
	EXPECT_EQ(ksize(p), 0);
}

static void call_krealloc(void *p)
{
	EXPECT(!krealloc(p, 100, GFP_NOWAIT));
}

static void expect_bad_pointer(const char *call, void (*fn)(void *), unsigned int contexts, const void *p,
			       const char *word)
{
	struct bad_call b = { fn, (void *)p, call, p, word };

	expect_bad(&b, contexts);
}

void expect_bad_frees(const void *p, const char *word)
{
	expect_bad_pointer("kfree", call_kfree, CALL_CONTEXTS, p, word);
	expect_bad_pointer("kfree_nolock", call_kfree_nolock, ALL_CONTEXTS, p, word);
}

void expect_bad_cache_frees(struct kmem_cache *s, const void *p, const char *word)
{
	cache = s;
	expect_bad_pointer("kmem_cache_free", call_cache_free, CALL_CONTEXTS, p, word);
	expect_bad_pointer("kmem_cache_free_nolock", call_cache_free_nolock, ALL_CONTEXTS, p, word);
}

void expect_bad_looks(const void *p, const char *word)
{
	expect_bad_pointer("ksize", call_ksize, CALL_CONTEXTS, p, word);
	expect_bad_pointer("krealloc", call_krealloc, CALL_CONTEXTS, p, word);
}

void in_use_again(const struct kmem_cache *s, void *obj)
{
	sanitize_alloc(obj, kmem_cache_size(s), true);
}

static void stray_byte(char *p, char byte)
{
	u32 *word = (u32 *)((u64)p & ~3UL), shift = (u32)((u64)p & 3) * 8;

	sanitize_write32(word, (sanitize_read32(word) & ~(0xffu << shift)) | (u32)(u8)byte << shift);
}

void stray_write(void *p, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		stray_byte((char *)p + i, ((const char *)bytes)[i]);
}
