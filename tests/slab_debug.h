/*
 * slab_debug.h - for the cases of slab_debug*.c: a debugged cache, objects of it, and its
 * slabs made whole again after something was found in them. CPU 0, thread context.
 */
#ifndef TESTS_SLAB_DEBUG_H
#define TESTS_SLAB_DEBUG_H

#include "mm/slab_debug.h"
#include "kernel/run_in.h"

#define DEBUG_SIZE 24

/* A cache "debugged" with these flags, and two objects of one slab; false: a failure. */
bool debug_begin(unsigned int flags, void (*ctor)(void *));
/* The objects go, slabs are made whole, the cache is destroyed. */
void debug_end(void);

extern struct kmem_cache *debug_cache;
extern void *debug_obj, *debug_other; /* NULL: given back already */

/* n bytes at `at` of obj become byte, seen by no sanitizer. */
void debug_scribble(void *obj, s64 at, u8 byte, size_t n);
/* fn(arg) in that context of CPU cpu: one report, by `call` of ptr, with this text behind
 * the cache's name. */
void debug_expect(void (*fn)(void *), void *arg, const char *call, const void *ptr, enum context ctx,
		  unsigned int cpu, const char *text);
/* each(ctx, cpu) in every context of the first and the last CPU. */
void debug_everywhere(void (*each)(enum context ctx, unsigned int cpu));
/* What an NMI may call: kfree_nolock(p). */
void debug_free(void *p);
/* Takes one, into debug_got. */
void debug_alloc(void *unused);
extern void *debug_got;

#endif
