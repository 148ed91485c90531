/*
 * lib.c - tests of lib/: formatting, string functions, random numbers, patterns of names.
 */
#include "kernel/printk.h"
#include "lib/pattern.h"
#include "lib/random.h"
#include "lib/string.h"
#include "tests/test.h"

static char out[128];

/* Does the format give this text, and its length? The compiler may not check the
 * format: some are wrong on purpose. */
static void expect_format(const char *want, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, sizeof(out), fmt, ap);
	va_end(ap);
	if (strcmp(out, want) || n != (int)strlen(want))
		test_fail(__FILE__, __LINE__, "'%s' gives '%s' (%d), expected '%s'", fmt, out, n, want);
}

TEST(lib, format_numbers, "signs, bases, lengths and the extreme values print right")
{
	expect_format("0 -1 2147483647 -2147483648", "%d %d %d %d", 0, -1, 0x7fffffff, -0x7fffffff - 1);
	expect_format("-9223372036854775808", "%ld", INT64_MIN);
	expect_format("18446744073709551615", "%lu", ~0UL);
	expect_format("4294967295", "%u", ~0u);
	expect_format("18446744073709551615 7 9", "%llu %zu %lld", ~0ULL, (size_t)7, 9LL);
	expect_format("beef BEEF 0xbeef 0", "%x %X %#x %#x", 0xbeef, 0xbeef, 0xbeef, 0);
	expect_format("ffff888000000000", "%lx", 0xffff888000000000UL);
	expect_format("0xffff888000001000", "%p", (void *)0xffff888000001000UL);
	expect_format("44 -1", "%hhu %hd", 300, 65535);
}

TEST(lib, format_layout, "flags, width and precision, given or as *, place the text right")
{
	expect_format("[   42][42   ][00042]", "[%5d][%-5d][%05d]", 42, 42, 42);
	expect_format("[  -42][-0042][+42][ 42]", "[%5d][%05d][%+d][% d]", -42, -42, 42, 42);
	expect_format("[  042][042  ][]", "[%5.3d][%-5.3d][%.0d]", 42, 42, 0);
	expect_format("[0x002a][000000000000002a]", "[%#06x][%016lx]", 42, 42UL);
	expect_format("[abc  ][  abc][ab][  ab]", "[%-5s][%5s][%.2s][%4.2s]", "abc", "abc", "abc", "abc");
	expect_format("[    x][y    ][ab]", "[%*s][%*s][%.*s]", 5, "x", -5, "y", 2, "abc");
	expect_format("[c][  c] 100% (null)", "[%c][%3c] 100%% %s", 'c', 'c', (char *)NULL);
}

TEST(lib, format_unknown, "an unknown conversion is printed as it stands, and ends nothing")
{
	expect_format("%q 5", "%q %d", 5);
	expect_format("%", "%");
}

TEST(lib, format_bounds, "no byte beyond the size is written, and the full length is told")
{
	char buf[16];

	for (size_t size = 0; size <= 12; size++) {
		memset(buf, '#', sizeof(buf));
		EXPECT_EQ(snprintf(buf, size, "%s-%d", "hello", 1234), 10);
		for (size_t i = size; i < sizeof(buf); i++)
			EXPECT_EQ(buf[i], '#');
		if (size) {
			size_t len = size - 1 < 10 ? size - 1 : 10;

			EXPECT_EQ(strlen(buf), len);
			EXPECT_EQ(memcmp(buf, "hello-1234", len), 0);
		}
	}
}

/* ---- memory functions against loops that are plainly right ---- */
#define AREA 96

static void fill_pattern(u8 *p)
{
	for (unsigned int i = 0; i < AREA; i++)
		p[i] = (u8)(i * 7 + 1);
}

static void check_move(unsigned int to, unsigned int from, unsigned int n)
{
	u8 a[AREA], want[AREA], tmp[AREA];

	fill_pattern(a);
	fill_pattern(want);
	for (unsigned int i = 0; i < n; i++)
		tmp[i] = want[from + i];
	for (unsigned int i = 0; i < n; i++)
		want[to + i] = tmp[i];
	EXPECT(memmove(a + to, a + from, n) == a + to);
	for (unsigned int i = 0; i < AREA; i++)
		if (a[i] != want[i])
			test_fail(__FILE__, __LINE__, "memmove(%u, %u, %u): byte %u", to, from, n, i);
}

TEST(lib, memmove_all, "memmove is right for every overlap, alignment and length up to 40")
{
	for (unsigned int to = 0; to < 20; to++)
		for (unsigned int from = 0; from < 20; from++)
			for (unsigned int n = 0; n <= 40; n++)
				check_move(to, from, n);
}

TEST(lib, memcpy_memset, "memcpy and memset write exactly n bytes at every alignment")
{
	u8 a[AREA], b[AREA];
	int wide = 0x1ab; /* its low byte counts */

	fill_pattern(b);
	for (unsigned int at = 0; at < 9; at++) {
		for (unsigned int n = 0; n <= 40; n++) {
			memset(a, 0xee, AREA);
			memcpy(a + at, b + 3, n);
			for (unsigned int i = 0; i < AREA; i++)
				EXPECT_EQ(a[i], i >= at && i < at + n ? b[3 + i - at] : 0xee);
			memset(a + at, wide, n);
			for (unsigned int i = 0; i < AREA; i++)
				EXPECT_EQ(a[i], i >= at && i < at + n ? 0xab : 0xee);
		}
	}
}

static int sign(int v)
{
	return v < 0 ? -1 : v > 0;
}

static const struct {
	const char *a, *b;
	size_t n; /* 0: the whole strings */
	int want;
} comparisons[] = {
	{ "abc", "abcd", 0, -1 }, { "b", "abcd", 0, 1 },     { "", "", 0, 0 },
	{ "a\xff", "a\x01", 0, 1 }, { "abcx", "abcy", 3, 0 }, { "abcx", "abcy", 4, -1 },
	{ "ab", "ab", 10, 0 },     { "a", "ab", 2, -1 },
};

TEST(lib, compare, "comparisons order by unsigned bytes and stop where they should")
{
	const u8 high[2] = { 1, 0xff }, low[2] = { 1, 1 };
	const char *abc = "abc";

	for (unsigned int i = 0; i < ARRAY_SIZE(comparisons); i++) {
		const char *a = comparisons[i].a, *b = comparisons[i].b;
		size_t n = comparisons[i].n;
		int got = sign(n ? strncmp(a, b, n) : strcmp(a, b));

		if (got != comparisons[i].want)
			test_fail(__FILE__, __LINE__, "%s against %s, %lu: %d", a, b, n, got);
	}
	EXPECT_EQ(sign(memcmp(high, low, 2)), 1);
	EXPECT_EQ(memcmp(high, low, 1), 0);
	EXPECT_EQ(strlen(""), 0);
	EXPECT(strchr(abc, 'd') == NULL);
	EXPECT(strchr(abc, 'b') == abc + 1);
	EXPECT(strchr(abc, 0) == abc + 3);
}

TEST(lib, random, "equal seeds repeat, unequal ones differ, and values are spread evenly")
{
	struct rng a, b, c;
	u32 count[16] = { 0 };

	rng_init(&a, 1);
	rng_init(&b, 1);
	rng_init(&c, 2);
	for (int i = 0; i < 1000; i++) {
		u64 v = rng_next(&a);

		EXPECT_EQ(v, rng_next(&b));
		EXPECT(v != rng_next(&c));
	}
	for (int i = 0; i < 16000; i++)
		count[rng_below(&a, 16)]++;
	for (int i = 0; i < 16; i++)
		EXPECT(count[i] > 850 && count[i] < 1150);
	rng_init(&c, 0);
	EXPECT(rng_next(&c) != rng_next(&c));
}

TEST(lib, patterns, "words, beginnings and exceptions choose the cases that they say; the last that matches decides")
{
	EXPECT(pattern_matches("pages.order0", "pages.order0"));
	EXPECT(!pattern_matches("pages.order0", "pages.order01"));
	EXPECT(!pattern_matches("pages.order0", "pages.order"));
	EXPECT(pattern_matches("x.y,pages.*", "pages.order0"));
	EXPECT(!pattern_matches("pages.*", "page.order0"));
	EXPECT(pattern_matches("*", "pages.order0"));
	EXPECT(!pattern_matches("*,-pages.*", "pages.order0"));
	EXPECT(pattern_matches("*,-pages.*", "slab.order0"));
	EXPECT(pattern_matches("*,-pages.*,pages.order0", "pages.order0"));
	EXPECT(!pattern_matches("-pages.*", "slab.order0"));
	EXPECT(!pattern_matches("", "pages.order0"));
	EXPECT(!pattern_matches(",-,", "pages.order0"));
}
