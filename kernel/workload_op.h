/*
 * workload_op.h - the operations of the main job, by context: who works, what it has
 * counted, and the start and end of it all.
 */
#ifndef KERNEL_WORKLOAD_OP_H
#define KERNEL_WORKLOAD_OP_H

#include "kernel/context.h"

/* Calls that gave NULL, by the memory asked for. */
enum null_size { NULL_4K, NULL_64K, NULL_1M, NULL_4M, NR_NULL_SIZE };

struct op_counts {
	u64 allocs, frees, bytes;
	u64 from_cpus, from_contexts; /* of the frees: blocks that another CPU, or another context, filled */
	u64 over_share;               /* not asked for: the job held its share of memory */
	u64 nulls[NR_NULL_SIZE];
	u64 refused;   /* of the NULLs: by the limit of a group (workload_memcg.h) */
	u64 unfounded; /* of the NULLs: memory was free, whatever the allocator says */
	/* Allocations in NMIs that have interrupted the allocator (workload_inside.h), those
	 * that have interrupted an instruction of it; NULLs; and of these while memory was free. */
	u64 inside, inside_rip, inside_nulls, inside_unfounded;
};

/* Make ready, with at most `share` bytes held at a time; NMIs work only where they have
 * interrupted the allocator, or anywhere. false: reported. CPU 0, thread context, like
 * all here but for the next two. */
bool ops_begin(u64 share, bool nmis_only_inside);
/* Interrupts, NMIs and breakpoints begin to work; and work no more. */
void ops_hooks_set(void);
void ops_hooks_clear(void);
/* Each CPU, thread context: some operations; and: free what is left in the slots of
 * the next CPU. */
void ops_thread(void);
void ops_drain(void);
/* false: reported. */
bool ops_end(void);

/* Any context: add what context c of a CPU has counted to *sum. */
void ops_count(unsigned int cpu, enum context c, struct op_counts *sum);

#endif
