/*
 * cmdline.c - tests of the kernel arguments' parser, on tables of their own.
 */
#include "kernel/cmdline.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "tests/test.h"

static s64 num, flag, fixed;
static const char *text;
static const struct kparam table[] = {
	{ .name = "num", .help = "a number", .num = &num, .min = -10, .max = 5L << 30 },
	{ .name = "number", .help = "a longer name", .num = &flag, .min = 0, .max = 1 },
	{ .name = "text", .help = "a string", .str = &text },
	{ .name = "fixed", .help = "only CONFIG=other has it", .num = &fixed, .min = 0, .max = 0 },
};
static char copy[CMDLINE_MAX], error[256];

static bool parse(const char *line)
{
	num = 7;
	flag = 0;
	text = "default";
	error[0] = 0;
	return cmdline_parse_table(line, table, ARRAY_SIZE(table), copy, error, sizeof(error));
}

static void expect_error(const char *line, const char *want)
{
	EXPECT(!parse(line));
	if (strcmp(error, want))
		test_fail(__FILE__, __LINE__, "'%s' gives '%s', expected '%s'", line, error, want);
	/* Nothing may be set by a line with an error in it. */
	EXPECT_EQ(num, 7);
	EXPECT_EQ(flag, 0);
	EXPECT_EQ(strcmp(text, "default"), 0);
}

TEST(cmdline, accepts, "numbers, suffixes, bare names, strings, quotes and odd spaces are taken")
{
	EXPECT(parse(""));
	EXPECT(parse("   "));
	EXPECT(parse("num=12") && num == 12);
	EXPECT(parse("num=-10") && num == -10);
	EXPECT(parse("num=0x1F") && num == 31);
	EXPECT(parse("num=3k") && num == 3072);
	EXPECT(parse("num=2M") && num == 2L << 20);
	EXPECT(parse("num=5G") && num == 5L << 30);
	EXPECT(parse("number") && flag == 1 && num == 7);
	EXPECT(parse("num=1 num=2") && num == 2);
	EXPECT(parse("text=a=b,c*") && !strcmp(text, "a=b,c*"));
	EXPECT(parse("text=") && !strcmp(text, ""));
	EXPECT(parse(" \t num=3   text='two words' number=1 ") && num == 3 && flag == 1 &&
	       !strcmp(text, "two words"));
	EXPECT(parse("\"text=a b\" num=4") && num == 4 && !strcmp(text, "a b"));
}

TEST(cmdline, unknown, "a word that names nothing is named in the error")
{
	expect_error("xyz", "unknown kernel argument 'xyz'");
	expect_error("num=1 xyz=2 text=a", "unknown kernel argument 'xyz=2'");
	expect_error("nu=1", "unknown kernel argument 'nu=1'");
	expect_error("numb=1", "unknown kernel argument 'numb=1'");
	expect_error("=1", "unknown kernel argument '=1'");
}

TEST(cmdline, bad_values, "a value out of range or malformed is told with its argument and limits")
{
	expect_error("num=-11", "kernel argument 'num': -11 is not within -10 to 5368709120");
	expect_error("number=2", "kernel argument 'number': 2 is not within 0 to 1");
	expect_error("num=", "kernel argument 'num': '' is not a number");
	expect_error("num=x", "kernel argument 'num': 'x' is not a number");
	expect_error("num=12x", "kernel argument 'num': '12x' is not a number");
	expect_error("num=0x", "kernel argument 'num': '0x' is not a number");
	expect_error("num=1kk", "kernel argument 'num': '1kk' is not a number");
	expect_error("num=9223372036854775808",
		     "kernel argument 'num': '9223372036854775808' is not a number");
	expect_error("num=9999999999G", "kernel argument 'num': '9999999999G' is not a number");
	expect_error("text", "kernel argument 'text' needs a value: text=...");
}

TEST(cmdline, other_build, "a value that only another build has is told with that build's name")
{
	expect_error("fixed=1", "kernel argument 'fixed': 0 alone in this build, not 1; only CONFIG=other has it");
	expect_error("fixed", "kernel argument 'fixed': 0 alone in this build, not 1; only CONFIG=other has it");
	EXPECT(parse("fixed=0") && fixed == 0);
}

TEST(cmdline, too_long, "a line longer than the buffer is refused, not cut")
{
	static char line[CMDLINE_MAX + 64];

	memset(line, 'a', sizeof(line) - 1);
	memcpy(line, "text=", 5);
	EXPECT(!parse(line));
	EXPECT_EQ(strcmp(text, "default"), 0);
	line[CMDLINE_MAX - 1] = 0;
	EXPECT(parse(line));
	EXPECT_EQ(strlen(text), CMDLINE_MAX - 1 - 5);
}
