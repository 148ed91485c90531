/*
 * fill.h - memory brought to a state: filled to a part of it, or used at random for long.
 */
#ifndef BENCH_FILL_H
#define BENCH_FILL_H

#include <anyctx/types.h>

/* Take pages until that many percent are in use; give all of them back. */
void fill_to(unsigned int percent);
void fill_end(void);

/*
 * Blocks of all sizes allocated and freed at random on every CPU; then every second of
 * those that are left is freed. load_end frees the rest.
 */
void load_run(void);
void load_end(void);

#endif
