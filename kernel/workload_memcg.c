/*
 * workload_memcg.c - the groups of the main job (workload_memcg.h). Made and ended by CPU
 * 0's thread, constant while the job runs.
 */
#include "kernel/workload_memcg.h"
#include <anyctx/memcg.h>
#include "kernel/cmdline.h"
#include "kernel/printk.h"

#define ALL 100 /* percent: the share itself */

static s64 mib, percent = ALL;
KPARAM_INT(mib, "memcg", 0, 1 << 20, "main job: it holds so many MiB at most, and groups pay for them; 0: nobody pays");
KPARAM_INT(percent, "memcg_percent", 1, ALL, "main job: the limit of its groups, of that; below 100 it is refused some");

static struct mem_cgroup *top, *of_context[NR_CONTEXT];

bool job_paid(void)
{
	return mib != 0;
}

struct mem_cgroup *job_pays(enum context c)
{
	return set_active_memcg(of_context[c]);
}

bool job_groups_begin(u64 *share)
{
	if (!mib)
		return true;
	if ((u64)mib << 20 < *share)
		*share = (u64)mib << 20;
	top = mem_cgroup_create(NULL, "main job");
	for (unsigned int c = 0; top && c < NR_CONTEXT; c++) {
		of_context[c] = mem_cgroup_create(top, context_name((enum context)c));
		if (!of_context[c])
			return false;
	}
	if (top)
		mem_cgroup_set_limit(top, *share * (u64)percent / ALL);
	return top != NULL;
}

static bool tell(const char *what)
{
	printk("main job: groups: %s\n", what);
	return false;
}

bool job_groups_end(u64 refused)
{
	u64 failcnt, usage;
	bool ok = true;

	if (!mib)
		return true;
	failcnt = mem_cgroup_failcnt(top);
	usage = mem_cgroup_usage(top);
	printk("paid by groups: limit %lu KiB, at most %lu KiB charged, %lu allocations refused\n",
	       mem_cgroup_limit(top) >> 10, mem_cgroup_watermark(top) >> 10, failcnt);
	if (usage)
		ok = tell("something is charged though all is freed");
	if (failcnt != refused)
		ok = tell("NULLs by a limit are not those that the group has counted");
	if (percent == ALL && failcnt)
		ok = tell("refused what fitted");
	if (percent < ALL && !failcnt)
		ok = tell("the limit was never met");
	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		mem_cgroup_put(of_context[c]);
	mem_cgroup_put(top);
	return ok;
}
