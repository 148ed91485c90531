/*
 * caught.c - printed text for tests to look at (caught.h).
 */
#include "tests/caught.h"
#include "kernel/printk.h"
#include "lib/string.h"

static char text[32768];
static size_t used;

static bool keep(const char *line, size_t len)
{
	if (len < sizeof(text) - used) {
		memcpy(text + used, line, len);
		used += len;
	}
	return true;
}

const char *caught(void (*print)(void *arg), void *arg)
{
	used = 0;
	printk_set_tap(keep);
	print(arg);
	printk_set_tap(NULL);
	text[used] = 0;
	return text;
}

static void call(void *print)
{
	((void (*)(void))print)();
}

const char *caught_of(void (*print)(void))
{
	return caught(call, (void *)print);
}

const char *line_with(const char *p, const char *begin)
{
	while (p && *p) {
		if (!strncmp(p, begin, strlen(begin)))
			return p + strlen(begin);
		p = strchr(p, '\n');
		p = p ? p + 1 : NULL;
	}
	return NULL;
}

u64 number_in(const char **p)
{
	u64 n = 0;

	while (**p && **p != '\n' && (**p < '0' || **p > '9'))
		++*p;
	if (!**p || **p == '\n')
		return ~0UL;
	for (; **p >= '0' && **p <= '9'; ++*p)
		n = n * 10 + (u64)(**p - '0');
	return n;
}
