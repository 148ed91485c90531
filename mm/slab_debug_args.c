/*
 * slab_debug_args.c - slab_debug=, in Linux's form: which caches are debugged, and how.
 *
 *	slab_debug=FZPU                  all caches
 *	slab_debug=FZ,kmalloc-64,dentry* those of these names; * at the end is any rest
 *	slab_debug=,dentry               no letters: FZPU
 *	slab_debug=FZ,kmalloc-64;U       blocks: a cache has the letters of the first that names
 *	                                 it, else those of the one without names; - is none
 *
 * The text is read anew for each cache that is created; nothing is kept. Thread context.
 */
#include "kernel/cmdline.h"
#include "kernel/printk.h"
#include "mm/slab_debug.h"

static const char *slab_debug;
KPARAM_STR(slab_debug, "slab_debug", "debug caches: FZPU all, or by name: FZ,kmalloc-64,dentry*; blocks with ;");

static unsigned int letter(char c)
{
	switch (c) {
	case 'f': case 'F': return SLAB_CONSISTENCY_CHECKS;
	case 'z': case 'Z': return SLAB_RED_ZONE;
	case 'p': case 'P': return SLAB_POISON;
	case 'u': case 'U': return SLAB_STORE_USER;
	default: return 0;
	}
}

static bool ends_word(char c)
{
	return !c || c == ',' || c == ';';
}

/* The letters at *at, which moves behind them. */
static unsigned int take_letters(const char **at)
{
	unsigned int flags = 0;

	if (ends_word(**at))
		return SLAB_DEBUG_FLAGS;
	for (; !ends_word(**at); (*at)++)
		flags |= letter(**at);
	return flags;
}

/* Is the word at *at, which moves behind it, this name? */
static bool take_name(const char **at, const char *name)
{
	const char *word = *at;

	while (!ends_word(**at))
		(*at)++;
	while (word < *at && *word != '*' && *word == *name) {
		word++;
		name++;
	}
	return (word < *at && *word == '*' && word + 1 == *at) || (word == *at && !*name);
}

unsigned int slab_debug_flags_of(const char *text, const char *name)
{
	unsigned int others = 0;

	while (*text) {
		unsigned int flags = take_letters(&text);
		bool names = *text == ',', mine = false;

		while (*text == ',') {
			text++;
			mine |= take_name(&text, name);
		}
		if (mine)
			return flags;
		if (!names)
			others = flags;
		text += *text == ';';
	}
	return others;
}

unsigned int slab_debug_flags(const char *name, unsigned int flags)
{
	return slab_debug ? flags | slab_debug_flags_of(slab_debug, name) : flags;
}

const char *slab_debug_bad_text(const char *text)
{
	while (*text) {
		if (*text == '-' && ends_word(text[1]))
			text++;
		for (; !ends_word(*text); text++)
			if (!letter(*text))
				return text;
		while (*text && *text != ';')
			text++;
		text += *text == ';';
	}
	return NULL;
}

bool slab_debug_init(void)
{
	const char *bad = slab_debug ? slab_debug_bad_text(slab_debug) : NULL;

	if (!bad)
		return true;
	printk("error: kernel argument 'slab_debug': '%c' is none of F, Z, P, U\n", *bad);
	return false;
}
