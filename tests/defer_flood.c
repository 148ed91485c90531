/*
 * defer_flood.c - frees from NMIs and nothing else, a million of them (row 30 of docs/mutants.md):
 * memory does not run out, whether interrupts are served or not; and the barrier ends
 * and keeps its promise meanwhile.
 *
 * In its NMIs every other CPU allocates objects for the next one, and each frees those
 * that it was given. Its thread does nothing but send NMIs to itself.
 */
#include <anyctx/llist.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/test.h"

#define FREES 1000000UL
#define BATCH 64 /* of one NMI */
static const u32 sizes[] = { 64, 200, 1000 };

#define MOST_MAIL (32 * BATCH) /* more of each size than a magazine holds */

static DEFINE_PER_CPU(struct llist_head, mailbox);
static DEFINE_PER_CPU(u64, mail); /* how many in it, about */
static u64 freed, nulls, least_free;

static void note_least(void)
{
	u64 now = nr_free_pages(), was = __atomic_load_n(&least_free, __ATOMIC_RELAXED);

	while (now < was)
		if (__atomic_compare_exchange_n(&least_free, &was, now, false, __ATOMIC_RELAXED,
						__ATOMIC_RELAXED))
			return;
}

static void free_mail(void)
{
	struct llist_node *n = llist_del_all(this_cpu_ptr(mailbox)), *next;
	u64 done = 0;

	for (; n; n = next, done++) {
		next = n->next;
		kfree_nolock(n);
	}
	__atomic_fetch_sub(this_cpu_ptr(mail), done, __ATOMIC_RELAXED);
	__atomic_fetch_add(&freed, done, __ATOMIC_RELAXED);
}

/* If it is behind with its mail it gets no more: false. */
static bool send_mail(unsigned int to)
{
	if (__atomic_fetch_add(per_cpu_ptr(mail, to), BATCH, __ATOMIC_RELAXED) >= MOST_MAIL) {
		__atomic_fetch_sub(per_cpu_ptr(mail, to), BATCH, __ATOMIC_RELAXED);
		return false;
	}
	for (unsigned int i = 0; i < BATCH; i++) {
		void *p = kmalloc_nolock(sizes[i % ARRAY_SIZE(sizes)], 0, NUMA_NO_NODE);

		if (p) {
			llist_add(p, per_cpu_ptr(mailbox, to));
			continue;
		}
		__atomic_fetch_add(&nulls, 1, __ATOMIC_RELAXED);
		__atomic_fetch_sub(per_cpu_ptr(mail, to), 1, __ATOMIC_RELAXED);
	}
	return true;
}

static void in_nmi(struct regs *r)
{
	unsigned int me = smp_processor_id();

	(void)r;
	/* Who only frees has its magazines always full; alone, one first fills the mailbox. */
	if (me & 1 || !send_mail((me + 1) % num_online_cpus()) || num_online_cpus() > 1)
		free_mail();
	note_least();
}

static u64 nmis_here(void)
{
	return this_cpu_read64(irq_counts.nmi);
}

/* One NMI after the other, until there have been enough frees in all. */
static void flood(void *arg)
{
	bool irqs_off = *(bool *)arg;
	u64 flags = irqs_off ? arch_irq_save() : 0, enough = irqs_off ? FREES / 5 : FREES;

	while (__atomic_load_n(&freed, __ATOMIC_RELAXED) < enough) {
		u64 before = nmis_here();

		arch_send_nmi(smp_processor_id());
		while (nmis_here() == before)
			cpu_relax();
	}
	if (irqs_off)
		arch_irq_restore(flags);
}

static void free_rest(void *unused)
{
	(void)unused;
	free_mail();
}

static u64 all_deferred(void)
{
	u64 n = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		n += READ_ONCE(per_cpu_ptr(defer_counts, cpu)->queued);
	return n;
}

/* On all CPUs. */
static void flood_all(bool irqs_off)
{
	u64 start = nr_free_pages(), deferred = all_deferred();

	freed = nulls = 0;
	least_free = start;
	set_nmi_hook(in_nmi);
	on_each_cpu_thread(flood, &irqs_off);
	set_nmi_hook(NULL);
	hook_sync();
	on_each_cpu_thread(free_rest, NULL);
	EXPECT_EQ(nulls, 0);
	EXPECT(all_deferred() > deferred || !mm_kept_of(64));
	/* What is under way is bounded, however many there were. */
	EXPECT(start - least_free < nr_managed_pages() / 4);
	test_note("%lu frees, %lu deferred, at most %lu pages under way", freed, all_deferred() - deferred,
		  start - least_free);
}

TEST(defer, flood, "a million frees in NMIs, and no ordinary call: memory does not run out")
{
	flood_all(false);
}

TEST(defer, flood_unserved, "the same with interrupts off, so that nobody serves the deferred ones")
{
	flood_all(true);
}

/* ---- the barrier meanwhile ---- */

#define BARRIERS 30

/* All that had been deferred before the call has been served after it. */
static void check_barrier(void)
{
	u64 before[NR_CPUS];

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		before[cpu] = READ_ONCE(per_cpu_ptr(defer_counts, cpu)->queued);
	defer_free_barrier();
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		EXPECT(READ_ONCE(per_cpu_ptr(defer_counts, cpu)->served) >= before[cpu]);
}

TEST(defer, barrier_in_flood,
     "the barrier ends while all other CPUs go on deferring, with all done that was before it")
{
	bool irqs_off = false;

	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	freed = nulls = 0;
	least_free = nr_free_pages();
	set_nmi_hook(in_nmi);
	for (unsigned int cpu = 1; cpu < num_online_cpus(); cpu++)
		cpu_thread_run(cpu, flood, &irqs_off);
	for (unsigned int i = 0; i < BARRIERS; i++) {
		check_barrier();
		arch_send_nmi(0); /* it takes and sends mail as well */
	}
	__atomic_fetch_add(&freed, FREES, __ATOMIC_RELAXED); /* enough */
	for (unsigned int cpu = 1; cpu < num_online_cpus(); cpu++)
		cpu_thread_wait(cpu);
	set_nmi_hook(NULL);
	hook_sync();
	on_each_cpu_thread(free_rest, NULL);
	EXPECT_EQ(nulls, 0);
	test_note("%lu frees meanwhile", freed - FREES);
}
