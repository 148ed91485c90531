/*
 * alloc.h - what the files of the allocator's target share.
 *
 *	alloc_host.c      the process: becomes the hosted machine
 *	alloc_cpus.c      its two CPUs, by turns on the one thread
 *	alloc_console.c   what the kernel prints, kept for the last words
 *	alloc_sequence.c  an input is a row of steps; what must hold before and after it
 *	alloc_op.c        one step: a call of the allocator, and what must hold of its result
 *	alloc_where.c     in which context and on which CPU, and in the middle of what
 *	alloc_model.c     the blocks that are in use, and what is in them
 *	alloc_short.c     whether a call that got NULL could have had what it wanted
 *
 * One call is made at a time, on one of two CPUs, or one in the middle of another; so the
 * model needs no lock. All of it runs on CPU 0 in thread context unless it says otherwise.
 */
#ifndef FUZZ_ALLOC_H
#define FUZZ_ALLOC_H

#include <anyctx/slab.h>
#include "fuzz/fuzz.h"

/* ---- alloc_host.c ---- */
#define ALLOC_MEM (20UL << 20) /* of the machine, with its holes */

/* ---- alloc_cpus.c ---- */
void cpu0_become(void);
/* fn(arg) in thread context on CPU 1; in CPU 0's thread. */
void on_cpu1(void (*fn)(void *), void *arg);

/* ---- alloc_sequence.c ---- */
void sequence_first(void); /* once, after the boot */
void sequence_run(struct fuzz_input *in);

/* ---- alloc_op.c ---- */
struct op {
	u8 kind;
	u16 a, b, c; /* numbers to choose by */
};
void op_read(struct op *op, struct fuzz_input *in);
/* In any context, on any CPU; what may not be called there is left out. */
void op_run(const struct op *op);
/* All blocks and caches that are left; failures are not injected any more. */
void op_free_all(void);
/* Calls that ought to have been reported as bad. */
extern u64 reports_wanted;

/* ---- alloc_where.c ---- */
enum where { THREAD, THREAD_1, IRQ, IRQ_1, NMI, NMI_1, DEBUG, NR_WHERE };
void run_in(enum where where, const struct op *op);
/* outer, in an NMI or not, with inner between two of its instructions: number `step` of
 * the kernel's; behind it, if it has not so many. Returns how many it went. */
u64 run_interrupted(const struct op *outer, bool in_nmi, const struct op *inner, enum where how, u64 step);
/* Is a call being interrupted by this one? */
extern bool is_nested;
/* Around each call of the allocator: what is between is what is interrupted. */
void step_begin(void);
void step_end(void);

/* ---- alloc_model.c: any context ---- */
enum block_kind { BLOCK_KMALLOC, BLOCK_OBJECT, BLOCK_PAGES, BLOCK_FROZEN, NR_BLOCK_KIND };
struct block {
	u8 *p;
	u64 usable;
	u64 seed;
	u8 kind, order, refs;
	u8 cache; /* of a BLOCK_OBJECT */
};
#define MAX_BLOCKS 2048
extern struct block blocks[MAX_BLOCKS];
extern unsigned int nr_blocks;
/* It is in use from now on; it must overlap none that is. */
void block_add(struct block b);
/* No longer; the last one takes its place. */
struct block block_remove(unsigned int i);
bool block_owns(const void *p);
/* What is in it: a pattern of its own, whose first n bytes are to be looked at. */
void block_fill(const struct block *b);
void block_check(const struct block *b, u64 n);
/* Bytes from..end of it are zero. */
void block_check_zero(const struct block *b, u64 from, u64 end);

/* ---- alloc_short.c: any context ---- */
void short_first(void); /* once, after the boot */
/* Is there a free block of that order, or a free object of s (not NULL), on that node
 * (-1: any)? Looks at descriptors and slabs, not at what the allocator searches. */
struct kmem_cache;
bool memory_is_there(unsigned int order, const struct kmem_cache *s, int nid);

#endif
