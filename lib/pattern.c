/*
 * pattern.c - names and the patterns that mean them. Any context.
 */
#include "lib/pattern.h"
#include "lib/string.h"

static bool word_matches(const char *word, size_t len, const char *name)
{
	if (len && word[len - 1] == '*')
		return !strncmp(name, word, len - 1);
	return strlen(name) == len && !strncmp(name, word, len);
}

bool pattern_matches(const char *pattern, const char *name)
{
	bool wanted = false;

	for (;;) {
		const char *comma = strchr(pattern, ',');
		size_t len = comma ? (size_t)(comma - pattern) : strlen(pattern);
		bool takes_out = len && *pattern == '-';

		if (word_matches(pattern + takes_out, len - takes_out, name))
			wanted = !takes_out;
		if (!comma)
			return wanted;
		pattern = comma + 1;
	}
}
