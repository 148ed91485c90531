/*
 * cmdline.c - target: the kernel command line (kernel/cmdline.c).
 *
 * An input is a byte and the line. The byte is the size of the buffer for the error, and bit
 * 7 wants a refused line to be told on the console, with the list of arguments. A line that is
 * taken leaves all values within their bounds and says the same when it is written
 * anew; one that is refused changes nothing and has its reason.
 */
#include "kernel/cmdline.h"
#include "fuzz/fuzz.h"
#include "kernel/printk.h"
#include <stdlib.h>
#include <string.h>

static s64 num, number, small, any;
static const char *text, *te;
KPARAM_INT(num, "num", 0, 100, "a number");
KPARAM_INT(number, "number", -5, 1L << 40, "one whose name begins as another's");
KPARAM_INT(small, "s", -1, 1, "a short name");
KPARAM_INT(any, "any", -0x7fffffffffffffffL, 0x7fffffffffffffffL, "all numbers");
KPARAM_STR(text, "text", "a text");
KPARAM_STR(te, "te", "one whose name begins another's");

extern const struct kparam __start_kparams[], __stop_kparams[];

struct values {
	s64 num, number, small, any;
	const char *text, *te;
};

static void defaults(void)
{
	num = number = small = any = 0;
	text = te = "default";
}

static struct values values(void)
{
	return (struct values){ num, number, small, any, text, te };
}

static bool same(const struct values *a, const struct values *b)
{
	return a->num == b->num && a->number == b->number && a->small == b->small && a->any == b->any &&
	       !strcmp(a->text, b->text) && !strcmp(a->te, b->te);
}

static bool parse(const char *line, char *copy, char *error, size_t error_size)
{
	return cmdline_parse_table(line, __start_kparams, (size_t)(__stop_kparams - __start_kparams), copy,
				   error, error_size);
}

static void check_bounds(const char *copy)
{
	for (const struct kparam *k = __start_kparams; k < __stop_kparams; k++) {
		if (k->num)
			FUZZ_CHECK(*k->num >= k->min && *k->num <= k->max);
		else if (strcmp(*k->str, "default"))
			FUZZ_CHECK(*k->str >= copy && *k->str + strlen(*k->str) < copy + CMDLINE_MAX);
	}
}

/* No quote that would not be one, and short enough. */
static bool can_be_written(const struct values *v)
{
	return !strpbrk(v->text, "\"") && !strpbrk(v->te, "\"") &&
	       strlen(v->text) + strlen(v->te) < CMDLINE_MAX - 200;
}

static void check_again(void)
{
	char line[CMDLINE_MAX], error[64], *copy;
	struct values was = values(), now;

	if (!can_be_written(&was))
		return;
	snprintf(line, sizeof(line), "num=%ld number=%ld s=%ld any=%ld text=\"%s\" te=\"%s\"", num, number, small,
		 any, text, te);
	copy = malloc(CMDLINE_MAX);
	FUZZ_CHECK(parse(line, copy, error, sizeof(error)));
	now = values();
	FUZZ_CHECK(same(&was, &now));
	free(copy);
}

static void try_line(const char *line, size_t error_size, bool tell)
{
	char *copy = malloc(CMDLINE_MAX), *error = malloc(error_size);
	struct values before, after;

	defaults();
	before = values();
	memset(error, 0x55, error_size);
	if (parse(line, copy, error, error_size)) {
		check_bounds(copy);
		check_again();
	} else {
		after = values();
		FUZZ_CHECK(same(&before, &after));
		FUZZ_CHECK(memchr(error, 0, error_size));
		defaults();
		FUZZ_CHECK(!tell || !cmdline_parse(line));
	}
	free(error);
	free(copy);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	u8 first = fuzz_u8(&in);
	char *line = malloc(in.left + 1);

	if (in.left)
		memcpy(line, in.p, in.left);
	line[in.left] = 0;
	try_line(line, (first & 0x7f) + 1u, first & 0x80);
	free(line);
	return 0;
}
