/*
 * badcall.h - make calls that are to be reported as bad, in every context, and
 * check what is reported. CPU 0, thread context.
 */
#ifndef TESTS_BADCALL_H
#define TESTS_BADCALL_H

#include <anyctx/slab.h>
#include "kernel/run_in.h"

#define ALL_CONTEXTS ALL_PLACES
#define CALL_CONTEXTS (1u << CTX_THREAD | 1u << CTX_IRQS_OFF | 1u << CTX_IRQ) /* of the calls without _nolock */

/* First thing in a case that uses this: it counts the reports for the runner. */
void reports_begin(void);

/* fn(arg) calls `call` with ptr, which is wrong; the report tells so by `word`. */
struct bad_call {
	void (*fn)(void *arg);
	void *arg;
	const char *call;
	const void *ptr;
	const char *word;
};

/*
 * Make it in each of the contexts (bits by enum context), on CPU 0 and the last one.
 * Each time there must be one report, which names call, pointer, CPU and context.
 */
void expect_bad(const struct bad_call *b, unsigned int contexts);
/* The same once: in that context of that CPU. */
void expect_bad_in(const struct bad_call *b, enum context ctx, unsigned int cpu);
/* Once, here; n: how many reports, the last of which has the word. */
void expect_reports_here(void (*fn)(void *), void *arg, u64 n, const char *word);

/* Free p, by kfree and kfree_nolock; by the calls that name a cache; look at it,
 * by ksize and krealloc: each is bad. */
void expect_bad_frees(const void *p, const char *word);
void expect_bad_cache_frees(struct kmem_cache *s, const void *p, const char *word);
void expect_bad_looks(const void *p, const char *word);

/* The free object, which its cache has lost, is in use for whoever watches over that. */
void in_use_again(const struct kmem_cache *s, void *obj);
/* Write into memory that is free, by a way that who watches for that does not see. */
void stray_write(void *p, const void *bytes, size_t n);

#endif
