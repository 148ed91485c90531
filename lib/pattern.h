/*
 * pattern.h - which of the cases named "suite.case" a kernel argument means:
 * test=, bench=.
 *
 * Words with commas between them, each a whole name, or the beginning of one with a '*'
 * at the word's end; with a '-' before it the word takes out what it matches. The last
 * word that matches a name decides. No state; any context.
 */
#ifndef LIB_PATTERN_H
#define LIB_PATTERN_H

#include <anyctx/types.h>

bool pattern_matches(const char *pattern, const char *name);

#endif
