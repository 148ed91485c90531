/*
 * cmdline.c - kernel arguments: words split at spaces, name=value or a bare name.
 *
 * All words are checked before the first is applied, so a bad line changes
 * nothing and the list of arguments shows true defaults. Quotes group a word with
 * spaces and are dropped. CPU 0 while booting, once; tests use the table form.
 */
#include "kernel/cmdline.h"
#include "kernel/printk.h"
#include "lib/string.h"

extern const struct kparam __start_kparams[], __stop_kparams[];

struct parser {
	const struct kparam *params;
	size_t n;
	char *error;
	size_t error_size;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* The next word of *at, ended by a 0 in place, quotes dropped; NULL: no more. */
static char *next_word(char **at)
{
	char *in = *at, *out, *word, quote = 0;

	while (is_space(*in))
		in++;
	if (!*in)
		return NULL;
	for (word = out = in; *in && (quote || !is_space(*in)); in++) {
		if (quote ? *in == quote : *in == '"' || *in == '\'')
			quote = quote ? 0 : *in;
		else
			*out++ = *in;
	}
	*at = *in ? in + 1 : in;
	*out = 0;
	return word;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 99;
}

static unsigned int suffix_shift(const char *s)
{
	if (s[0] && !s[1]) {
		switch (s[0]) {
		case 'k': case 'K': return 10;
		case 'm': case 'M': return 20;
		case 'g': case 'G': return 30;
		}
	}
	return 0;
}

/* A whole number, decimal or 0x, with a sign and a suffix k, M or G. */
static bool parse_number(const char *s, s64 *out)
{
	bool negative = *s == '-';
	s64 v = 0, base = 10;
	unsigned int shift;

	s += negative;
	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
	}
	if (digit(*s) >= base)
		return false;
	for (; digit(*s) < base; s++)
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit(*s), &v))
			return false;
	shift = suffix_shift(s);
	if ((*s && !shift) || __builtin_mul_overflow(v, 1L << shift, &v))
		return false;
	*out = negative ? -v : v;
	return true;
}

static const struct kparam *find(const struct parser *p, const char *name, size_t len)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strncmp(p->params[i].name, name, len) && !p->params[i].name[len])
			return &p->params[i];
	return NULL;
}

static bool set_number(const struct parser *p, const struct kparam *k, const char *value, bool apply)
{
	s64 v = 1; /* a bare name */

	if (value && !parse_number(value, &v)) {
		snprintf(p->error, p->error_size, "kernel argument '%s': '%s' is not a number", k->name,
			 value);
		return false;
	}
	if (v != k->min && k->min == k->max) { /* its help says which build has more */
		snprintf(p->error, p->error_size, "kernel argument '%s': %ld alone in this build, not %ld; %s",
			 k->name, k->min, v, k->help);
		return false;
	}
	if (v < k->min || v > k->max) {
		snprintf(p->error, p->error_size, "kernel argument '%s': %ld is not within %ld to %ld",
			 k->name, v, k->min, k->max);
		return false;
	}
	if (apply)
		*k->num = v;
	return true;
}

static bool take_word(const struct parser *p, char *word, bool apply)
{
	const char *equals = strchr(word, '=');
	const char *value = equals ? equals + 1 : NULL;
	const struct kparam *k = find(p, word, equals ? (size_t)(equals - word) : strlen(word));

	if (!k) {
		snprintf(p->error, p->error_size, "unknown kernel argument '%s'", word);
		return false;
	}
	if (k->num)
		return set_number(p, k, value, apply);
	if (!value) {
		snprintf(p->error, p->error_size, "kernel argument '%s' needs a value: %s=...", k->name,
			 k->name);
		return false;
	}
	if (apply)
		*k->str = value;
	return true;
}

/* Words are cut out of the copy; what is applied points into it. */
static bool take_line(const struct parser *p, const char *line, char *copy, bool apply)
{
	char *word;

	if ((size_t)snprintf(copy, CMDLINE_MAX, "%s", line) >= CMDLINE_MAX) {
		snprintf(p->error, p->error_size, "the kernel arguments are longer than %d bytes",
			 CMDLINE_MAX - 1);
		return false;
	}
	while ((word = next_word(&copy)))
		if (!take_word(p, word, apply))
			return false;
	return true;
}

bool cmdline_parse_table(const char *line, const struct kparam *params, size_t n, char *copy,
			 char *error, size_t error_size)
{
	struct parser p = { params, n, error, error_size };

	return take_line(&p, line, copy, false) && take_line(&p, line, copy, true);
}

static void print_param(const struct kparam *k)
{
	if (k->str)
		printk("  %-18s %s (default: %s)\n", k->name, k->help, *k->str ? *k->str : "none");
	else
		printk("  %-18s %s (default: %ld)\n", k->name, k->help, *k->num);
}

bool cmdline_parse(const char *line)
{
	static char copy[CMDLINE_MAX];
	char error[256];

	if (cmdline_parse_table(line, __start_kparams, (size_t)(__stop_kparams - __start_kparams), copy,
				error, sizeof(error)))
		return true;
	printk("error: %s\n", error);
	printk("The kernel arguments are name=value, separated by spaces:\n");
	for (const struct kparam *k = __start_kparams; k < __stop_kparams; k++)
		print_param(k);
	return false;
}
