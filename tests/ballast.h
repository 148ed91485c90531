/*
 * ballast.h - take most of a large machine's memory away, so that what a test does with
 * "all memory" takes no longer there than elsewhere. CPU 0, thread context.
 */
#ifndef TESTS_BALLAST_H
#define TESTS_BALLAST_H

#include <anyctx/types.h>

/* Blocks of order 10 until at most `pages` are free, or no block is left. */
void ballast_take(u64 pages);
/* To the last page, waiting for what other CPUs cache. */
void ballast_take_all(void);
/* As small as it may be for the mode of little memory to begin and end in it. */
void ballast_take_most(void);
void ballast_give(void);

#endif
