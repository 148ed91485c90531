/*
 * workload_memcg.h - the main job paid for by groups: kernel argument memcg=MIB.
 *
 * A group for each kind of context, below one with a limit; and the job holds no more than
 * so much. If the limit is that, all that it holds fits: it may be refused nothing,
 * though it is at the limit again and again. With memcg_percent below 100 it is refused, and
 * each NULL has to be one that the group has counted.
 */
#ifndef KERNEL_WORKLOAD_MEMCG_H
#define KERNEL_WORKLOAD_MEMCG_H

#include "kernel/context.h"

struct mem_cgroup;

/* Does anybody pay? Any context. */
bool job_paid(void);
/* For an allocation in this context; gives back what was active before. Any context. */
struct mem_cgroup *job_pays(enum context c);

/* Thread context: make the groups; false: there are no more. *share is what the job may
 * hold, and becomes less. */
bool job_groups_begin(u64 *share);
/* All is freed; refused: how many NULLs the workers had from them. Prints the figures;
 * false: it is not as it should be, and what has been told. */
bool job_groups_end(u64 refused);

#endif
