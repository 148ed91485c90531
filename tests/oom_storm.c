/*
 * oom_storm.c - the end of memory reached by everybody at once: threads, interrupts,
 * NMIs and breakpoints of all CPUs allocate until each has been told NULL for every
 * size. Then nothing at all may be left, in no corner; and all of it comes back.
 *
 * Nobody frees while the storm goes on, so what is left at its end was there when some
 * call said NULL: the walk at the end finds every spurious failure.
 */
#include <anyctx/irq_work.h>
#include <anyctx/llist.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "lib/random.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/walk.h"
#include "tests/ballast.h"
#include "tests/test.h"

/*
 * What is asked for, each until there is none: first sizes at random, by turns as
 * pages and by kmalloc; then each size by kmalloc, the large ones also as pages.
 */
static const u32 sizes[] = { 4 << 20, 2 << 20, 1 << 20, 512 << 10, 256 << 10, 128 << 10, 64 << 10, 32 << 10,
			     16 << 10, 8192, 4096, 2048, 1024, 512, 256, 192, 128, 96, 64, 32, 16, 8 };
#define NR_SIZES ARRAY_SIZE(sizes)
#define NR_WISHES (1 + 2 * NR_SIZES)
#define BATCH 32 /* of one interrupt, NMI or breakpoint */

/* One context of one CPU. Only it writes its fields. */
struct worker {
	u64 busy, got, nulls;
	u32 at; /* its wish; NR_WISHES: done */
	struct rng rng;
};
static DEFINE_PER_CPU(struct worker, storm_workers[NR_CONTEXT]);
static DEFINE_PER_CPU(struct llist_head, storm_held);
static u32 done; /* workers of all CPUs */

static struct worker *worker_of(unsigned int cpu, enum context ctx)
{
	return &(*per_cpu_ptr(storm_workers, cpu))[ctx];
}

static void *ask(struct worker *w)
{
	u64 wish = w->at ? w->at - 1 : rng_below(&w->rng, 2 * NR_SIZES);
	u32 size = sizes[wish / 2];
	struct page *page;

	if (wish & 1 || size < PAGE_SIZE)
		return kmalloc_nolock(size, 0, NUMA_NO_NODE);
	page = alloc_pages_nolock(0, NUMA_NO_NODE, (unsigned int)__builtin_ctz(size) - PAGE_SHIFT);
	return page ? page_address(page) : NULL;
}

static void work(struct worker *w, unsigned int n)
{
	while (n-- && w->at < NR_WISHES) {
		void *p = ask(w);

		if (p) {
			w->got++;
			llist_add(p, this_cpu_ptr(storm_held));
			continue;
		}
		w->nulls++;
		if (++w->at == NR_WISHES)
			__atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
	}
}

/* A worker may be interrupted by its own kind. */
static void work_here(unsigned int n)
{
	struct worker *w = worker_of(smp_processor_id(), current_context());

	if (w->busy++ == 0)
		work(w, n);
	w->busy--;
}

static void in_hook(struct regs *r)
{
	(void)r;
	work_here(BATCH);
}

static bool in_breakpoint(struct regs *r, u64 dr6)
{
	(void)r;
	(void)dr6;
	work_here(BATCH);
	return true;
}

static bool all_done_here(void)
{
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		if (worker_of(smp_processor_id(), (enum context)ctx)->at < NR_WISHES)
			return false;
	return true;
}

/* Interrupts of its own: the storm may be over before a timer's. */
static DEFINE_PER_CPU(struct irq_work, storm_irq);

static void in_irq_work(struct irq_work *w)
{
	(void)w;
	work_here(BATCH);
}

static void storm_thread(void *unused)
{
	unsigned int me = smp_processor_id(), n = num_online_cpus();

	(void)unused;
	init_irq_work(this_cpu_ptr(storm_irq), in_irq_work);
	for (u64 i = 0; !all_done_here(); i++) {
		work_here(8);
		irq_work_queue(this_cpu_ptr(storm_irq));
		arch_breakpoint();
		arch_send_nmi(i & 3 ? me : (unsigned int)(i / 4 % n));
	}
	irq_work_sync(this_cpu_ptr(storm_irq));
	/* Others may not be done: their memory can only get less. */
}

static void storm_begin(void)
{
	done = 0;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
			struct worker *w = worker_of(cpu, (enum context)ctx);

			*w = (struct worker){ 0 };
			rng_init(&w->rng, cpu * NR_CONTEXT + ctx);
		}
	set_tick_hook(in_hook);
	set_nmi_hook(in_hook);
	set_trap_hook(in_breakpoint);
}

static void storm_end(void)
{
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
}

/* ---- is anything left? ---- */

static void check_nothing_left(void)
{
	static struct walk w;

	walk_all(&w, NULL);
	EXPECT_EQ(w.free + w.private, 0);
	EXPECT_EQ(nr_free_pages(), 0);
	for (u32 id = 1; id <= NR_KMALLOC; id++) {
		u64 cached = 0;

		for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
			cached += magazine_count(&caches[id], cpu);
		if (w.idle[id] + cached)
			test_fail(__FILE__, __LINE__, "%s: %lu objects left in slabs, %lu in magazines",
				  caches[id].name, w.idle[id], cached);
	}
}

static void note_workers(void)
{
	u64 got[NR_CONTEXT] = { 0 }, nulls = 0;

	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) {
			struct worker *w = worker_of(cpu, (enum context)ctx);

			got[ctx] += w->got;
			nulls += w->nulls;
		}
	for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
		EXPECT(got[ctx] > 0);
	test_note("blocks: thread %lu, irq %lu, nmi %lu, debug %lu; NULLs %lu", got[CTX_THREAD], got[CTX_IRQ],
		  got[CTX_NMI], got[CTX_DEBUG], nulls);
}

/* What the next CPU holds is freed here, by each call in turn. */
static void free_held(void *unused)
{
	struct llist_head *h = per_cpu_ptr(storm_held, (smp_processor_id() + 1) % num_online_cpus());
	struct llist_node *n = llist_del_all(h);

	(void)unused;
	for (u64 i = 0; n; i++) {
		struct llist_node *next = n->next;

		if (i & 1)
			kfree(n);
		else
			kfree_nolock(n);
		n = next;
	}
}

TEST(oom, storm,
     "all contexts of all CPUs allocate until each hears NULL for each size: nothing is left, all comes back")
{
	ballast_take_most();
	storm_begin();
	on_each_cpu_thread(storm_thread, NULL);
	storm_end();
	note_workers();
	EXPECT_EQ(done, num_online_cpus() * NR_CONTEXT);
	check_nothing_left();
	EXPECT(mm_tight);
	on_each_cpu_thread(free_held, NULL);
	ballast_give();
	mm_quiesce();
	EXPECT(!mm_tight);
}

/* ---- the same, again and again, with frees going on ---- */

#define ROUNDS 160 /* of all CPUs */

static void churn_thread(void *unused)
{
	struct worker *w = worker_of(smp_processor_id(), CTX_THREAD);

	(void)unused;
	for (unsigned int i = 0; i < ROUNDS / num_online_cpus(); i++) {
		work_here(64);
		arch_breakpoint();
		arch_send_nmi(smp_processor_id());
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++) /* random sizes for ever */
			worker_of(smp_processor_id(), (enum context)ctx)->at = 0;
		if (w->nulls % 4 == 3 || i % 8 == 7)
			free_held(NULL);
	}
}

TEST(oom, churn, "at the end of memory, allocating in all contexts while threads free each other's blocks")
{
	ballast_take(nr_managed_pages() / 8);
	storm_begin();
	on_each_cpu_thread(churn_thread, NULL);
	storm_end();
	note_workers();
	on_each_cpu_thread(free_held, NULL);
	ballast_give();
}
