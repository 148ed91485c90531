/*
 * workload.c - the main job: for a while threads, timer interrupts, NMIs and
 * breakpoints on all CPUs allocate and free at once; then all is freed, and counted.
 *
 * CPU 0's thread directs it between its own operations: it prints a line a second,
 * raises the rate of NMIs as far as threads bear it, and sets `stop`. Whatever the
 * machine's speed, it goes on until every context of every CPU has worked, though for
 * a bounded time.
 *
 * Invariant: pages are counted at rest, before the first allocation and after the
 * last free: no hooks, no caches of the job, the watchdog paused with its samples
 * given back, the allocator quiet. `stop` is written by CPU 0 only; all else in
 * `job` is touched by CPU 0's thread only.
 */
#include "kernel/workload.h"
#include <anyctx/smp.h>
#include <arch/irq.h>
#include <arch/machine.h>
#include <arch/time.h>
#include "kernel/cmdline.h"
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/printk.h"
#include "kernel/tick.h"
#include "kernel/watchdog.h"
#include "kernel/workload_block.h"
#include "kernel/workload_hotplug.h"
#include "kernel/workload_memcg.h"
#include "kernel/workload_op.h"
#include "kernel/workload_rate.h"
#include "kernel/workload_worst.h"
#include "mm/fail.h"
#include "mm/mm.h"

#define SECOND 1000000000UL
#define EXTRA_NS (60 * SECOND) /* at most, for slow CPUs to come to their turns */
#define PATIENCE_NS (1800 * SECOND) /* at most, for nmi_inside */
#define SHARE 4                /* the job holds at most one in so many bytes of memory */

static s64 seconds = 10, nmi_inside;
KPARAM_INT(seconds, "seconds", 1, 86400, "how long the main job runs");
KPARAM_INT(nmi_inside, "nmi_inside", 0, 1000000000,
	   "NMIs work only where they have interrupted the allocator, until they have made so many allocations");

/* Timer interrupts, NMIs and IPIs of a CPU. */
struct taken {
	u64 ticks, nmis, ipis;
};

static struct {
	u64 start_ns, end_ns, next_line_ns;
	struct mm_stats before;
	u64 reports_before, errors_before;
	struct taken taken_before[NR_CPUS];
	unsigned int faults; /* reasons not to pass */
} job;
static bool stop;

/* ---- counting ---- */

static struct op_counts count_context(enum context c)
{
	struct op_counts sum = { .allocs = 0 };

	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		ops_count(cpu, c, &sum);
	return sum;
}

static u64 allocs_of(unsigned int cpu, enum context c)
{
	struct op_counts n = { .allocs = 0 };

	ops_count(cpu, c, &n);
	return n.allocs;
}

static u64 operations(enum context c)
{
	struct op_counts n = count_context(c);

	return n.allocs + n.frees;
}

static u64 all_nulls(const struct op_counts *n)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < NR_NULL_SIZE; i++)
		sum += n->nulls[i];
	return sum;
}

/* NULLs while memory was free: what the allocator itself has seen, or what the job
 * can tell from outside, whichever is more; most are seen by both. */
static u64 unfounded_nulls(const struct mm_stats *now)
{
	u64 seen = now->spurious_failures - job.before.spurious_failures, told = 0;

	for (unsigned int i = 0; i < NR_CONTEXT; i++)
		told += count_context((enum context)i).unfounded;
	return seen > told ? seen : told;
}

static struct taken taken_since_boot(unsigned int cpu)
{
	const struct irq_counts *c = per_cpu_ptr(irq_counts, cpu);
	struct taken t = { .ticks = tick_number(cpu), .nmis = READ_ONCE(c->nmi) };

	for (unsigned int i = 0; i < NR_IPI; i++)
		t.ipis += READ_ONCE(c->ipi[i]);
	return t;
}

static struct taken taken_in_job(unsigned int cpu)
{
	struct taken t = taken_since_boot(cpu);

	t.ticks -= job.taken_before[cpu].ticks;
	t.nmis -= job.taken_before[cpu].nmis;
	t.ipis -= job.taken_before[cpu].ipis;
	return t;
}

static bool all_have_worked(void)
{
	unsigned int cpu;

	for_each_online_cpu(cpu)
		for (unsigned int c = 0; c < NR_CONTEXT; c++)
			if (!allocs_of(cpu, (enum context)c))
				return false;
	return true;
}

/* ---- while it runs ---- */

static void print_progress(u64 now)
{
	struct taken sum = { .ticks = 0 };
	struct mm_stats st;

	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++) {
		struct taken t = taken_in_job(cpu);

		sum.ticks += t.ticks;
		sum.nmis += t.nmis;
		sum.ipis += t.ipis;
	}
	mm_get_stats(&st);
	printk("%3lu s  operations: thread %lu irq %lu nmi %lu debug %lu; ticks %lu nmis %lu ipis %lu; "
	       "deferred %lu served %lu; %lu KiB in use; %lu failures\n",
	       (now - job.start_ns) / SECOND, operations(CTX_THREAD), operations(CTX_IRQ),
	       operations(CTX_NMI), operations(CTX_DEBUG), sum.ticks, sum.nmis, sum.ipis,
	       st.deferred - job.before.deferred, st.deferred_served - job.before.deferred_served,
	       (st.pages_managed - st.pages_free) << PAGE_SHIFT >> 10,
	       unfounded_nulls(&st));
}

static bool enough_inside(void)
{
	return !nmi_inside || count_context(CTX_NMI).inside >= (u64)nmi_inside;
}

/* Not yet, though the time is up. */
static bool goes_on(u64 now)
{
	if (now < job.end_ns)
		return true;
	if (!all_have_worked())
		return now < job.end_ns + EXTRA_NS;
	return !enough_inside() && now < job.end_ns + PATIENCE_NS;
}

static void direct(void)
{
	u64 now = arch_ns();

	if (now >= job.next_line_ns) {
		print_progress(now);
		job.next_line_ns = now - (now - job.start_ns) % SECOND + SECOND;
	}
	if (goes_on(now)) {
		rate_adapt(now);
		hotplug_step(now);
		return;
	}
	hotplug_end();
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
}

static void work(void *unused)
{
	(void)unused;
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED) && !hotplug_stops_here()) {
		ops_thread();
		if (smp_processor_id() == 0)
			direct();
	}
}

static void drain(void *unused)
{
	(void)unused;
	ops_drain();
}

static void run(void)
{
	stop = false;
	job.start_ns = arch_ns();
	job.end_ns = job.start_ns + (u64)seconds * SECOND;
	job.next_line_ns = job.start_ns + SECOND;
	fail_arm(fail_arguments());
	ops_hooks_set();
	rate_begin();
	hotplug_begin(work, job.start_ns);
	on_each_cpu_thread(work, NULL);
	rate_end();
	ops_hooks_clear();
	fail_disarm();
	on_each_cpu_thread(drain, NULL);
}

/* ---- before and after ---- */

static void rest_and_count(struct mm_stats *st)
{
	mm_quiesce();
	mm_get_stats(st);
}

static bool begin(void)
{
	u64 memory = nr_managed_pages() << PAGE_SHIFT, share = memory / SHARE;

	watchdog_pause(true);
	rest_and_count(&job.before);
	job.reports_before = mm_reports();
	job.errors_before = block_errors();
	job.faults = 0;
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		job.taken_before[cpu] = taken_since_boot(cpu);
	worst_reset();
	if (!job_groups_begin(&share) || !ops_begin(share, nmi_inside))
		return false;
	watchdog_pause(false);
	printk("main job: %ld s on %u CPUs, %u timer interrupts a second each, at most %lu of %lu MiB held\n",
	       seconds, num_online_cpus(), tick_hz(), share >> 20, memory >> 20);
	return true;
}

static void print_contexts(void)
{
	printk("%-8s%11s%11s%13s%13s%12s%8s  %s\n", "context", "allocated", "freed", "of other CPU",
	       "of other ctx", "KiB", "NULL", "of them up to 4K/64K/1M/4M");
	for (unsigned int i = 0; i < NR_CONTEXT; i++) {
		struct op_counts n = count_context((enum context)i);

		printk("%-8s%11lu%11lu%13lu%13lu%12lu%8lu  %lu/%lu/%lu/%lu\n", context_name((enum context)i),
		       n.allocs, n.frees, n.from_cpus, n.from_contexts, n.bytes >> 10, all_nulls(&n),
		       n.nulls[NULL_4K], n.nulls[NULL_64K], n.nulls[NULL_1M], n.nulls[NULL_4M]);
	}
}

static void print_inside(void)
{
	struct op_counts n = count_context(CTX_NMI);

	printk("NMIs that interrupted the allocator: %lu allocations (%lu at an instruction of it), %lu NULL, "
	       "%lu of them while memory was free\n", n.inside, n.inside_rip, n.inside_nulls, n.inside_unfounded);
}

static void print_cpus(void)
{
	unsigned int cpu;

	printk("allocations by CPU and context; timer interrupts, NMIs and IPIs taken:\n");
	for_each_online_cpu(cpu) {
		struct taken t = taken_in_job(cpu);

		printk("cpu %2u  thread %lu irq %lu nmi %lu debug %lu ticks %lu nmis %lu ipis %lu\n", cpu,
		       allocs_of(cpu, CTX_THREAD), allocs_of(cpu, CTX_IRQ), allocs_of(cpu, CTX_NMI),
		       allocs_of(cpu, CTX_DEBUG), t.ticks, t.nmis, t.ipis);
	}
}

static u64 refused(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < NR_CONTEXT; i++)
		sum += count_context((enum context)i).refused;
	return sum;
}

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	printk("main job: FAILED: %s\n", what);
	job.faults++;
}

static void check(const struct mm_stats *now, unsigned int differences)
{
	u64 failures = unfounded_nulls(now);
	u64 errors = block_errors() - job.errors_before, reports = mm_reports() - job.reports_before;

	printk("failures while memory was free: %lu\n", failures);
	printk("pages at boot %lu, pages now %lu\n", job.before.pages_free, now->pages_free);
	printk("errors in blocks: %lu; reports of bad use: %lu; counters unlike the walk: %u\n", errors,
	       reports, differences);
	require(!failures, "allocations failed while memory was free");
	require(now->pages_free == job.before.pages_free, "pages were lost or won");
	require(!errors, "blocks did not hold what they should");
	require(!reports, "the allocator reported bad use");
	require(!differences, "counters differ from a walk of the structures");
	require(!count_context(CTX_NMI).inside_unfounded, "an NMI in the allocator got NULL while memory was free");
	require(enough_inside(), "NMIs did not interrupt the allocator so often");
	require(all_have_worked(), "a context of a CPU has not allocated");
}

/* Also after a failed begin: the watchdog is paused then. */
static void end(bool begun)
{
	unsigned int differences;
	struct mm_stats now;

	if (begun)
		watchdog_pause(true);
	require(begun && ops_end(), "the job could not begin, or did not come to a clean end");
	rest_and_count(&now);
	differences = mm_check();
	if (begun) {
		print_contexts();
		print_inside();
		print_cpus();
		printk("NMIs by %s, %u a second asked for, and by the CPUs; %lu frees deferred, %lu served\n",
		       nmi_source_name(), rate_hz(), now.deferred - job.before.deferred,
		       now.deferred_served - job.before.deferred_served);
		fail_print();
		require(job_groups_end(refused()), "groups did not refuse what they had to, and that alone");
		require(hotplug_print(), "CPUs did not go offline as they were asked to");
		require(worst_print(), "a nolock call took longer than its bound");
	}
	check(&now, differences);
	watchdog_pause(false);
}

int workload_run(void)
{
	bool begun = begin();

	if (begun)
		run();
	end(begun);
	printk("main job: %s\n", job.faults ? "FAILED" : "passed");
	return job.faults ? EXIT_FAIL : EXIT_PASS;
}
