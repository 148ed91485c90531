/*
 * memory.h - what objects take of memory beyond what was asked for. CPU 0, thread context.
 */
#ifndef BENCH_MEMORY_H
#define BENCH_MEMORY_H

#include <anyctx/gfp.h>

/* Pages taken over bytes asked, in hundredths of a percent more, for up to 100,000 objects. */
u64 memory_overhead(size_t size, gfp_t gfp);

#endif
