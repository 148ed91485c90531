/*
 * cmdline.h - kernel arguments: name=value words. A parameter is declared where
 * it is used, and found through the linker section "kparams"; a word that
 * names none is an error that lists those there are.
 */
#ifndef KERNEL_CMDLINE_H
#define KERNEL_CMDLINE_H

#include <anyctx/types.h>

struct kparam {
	const char *name, *help;
	s64 *num;        /* or NULL; a bare name sets 1; k, M, G suffixes */
	const char **str; /* or NULL */
	s64 min, max;
};

/* var: a static s64 with its default; min and max are checked. Where both are the same, as
 * this build has nothing to choose, the help says which one has: it is in the error. */
#define KPARAM_INT(var, pname, lo, hi, phelp) \
	static const struct kparam kparam_##var __section("kparams") __used __aligned(8) = { \
		.name = pname, .help = phelp, .num = &var, .min = lo, .max = hi }
#define KPARAM_STR(var, pname, phelp) \
	static const struct kparam kparam_##var __section("kparams") __used __aligned(8) = { \
		.name = pname, .help = phelp, .str = &var }

/* Parse; on an unknown word or a bad value: prints the error and the list,
 * and returns false (the boot ends with EXIT_FAIL). */
bool cmdline_parse(const char *line);

/* The same for a table of one's own, without printing: copy, of CMDLINE_MAX
 * bytes, holds the strings that are set; error tells what is wrong. Nothing is
 * set if anything is wrong. */
#define CMDLINE_MAX 2048
bool cmdline_parse_table(const char *line, const struct kparam *params, size_t n, char *copy,
			 char *error, size_t error_size);

#endif
