/*
 * defer.c - frees that are put off: from an NMI or a debug exception, when the
 * magazine is full.
 *
 * No structure here needs it, a free is lock-free everywhere. It keeps NMIs
 * short: flushing a magazine is work for an interrupt. The object goes on a stack
 * of its CPU, built as a magazine is (so it is bounded, and nothing is written
 * into the object), and an irq_work raises an IPI that does the rest.
 *
 * Invariant: queued = served + what is on the stacks + what servers have in their
 * hands. In thread context a server holds an object only with interrupts off, so
 * a function run by IPI on every CPU finds none in hands below it.
 *
 * While anybody waits for the stacks to be empty, nothing is put off, so a flood of
 * frees cannot keep him: once a CPU has taken an interrupt since, its stack only
 * shrinks. `waiters` is raised and lowered by one locked instruction each, by threads;
 * who would put off looks at it, in any context.
 */
#include "kernel/context.h"
#include "mm/internal.h"
#include <anyctx/cpu.h>
#include <anyctx/irq_work.h>
#include <anyctx/smp.h>
#include <arch/cpu.h>

#define RETRIES 4

/* Built as a magazine is. With CONFIG_TINY nothing is put off, and it stays empty. */
struct defer_stack {
	void *slot[CONFIG_TINY ? 2 : MAG_SLOTS];
} __aligned(CONFIG_TINY ? sizeof(void *) : LOCAL_STACK_BYTES);
static DEFINE_PER_CPU(struct defer_stack, defer_stack);
static DEFINE_PER_CPU(void **, defer_top);
static DEFINE_PER_CPU(struct irq_work, defer_work);
DEFINE_PER_CPU(struct defer_counts, defer_counts);
static u32 waiters; /* who wait for all stacks to be empty */

static struct kmem_cache *cache_of(const void *obj)
{
	return cache_at(*frame_cache(addr_pfn(obj)));
}

bool defer_closed(void)
{
	return CONFIG_TINY || __atomic_load_n(&waiters, __ATOMIC_RELAXED);
}

bool defer_free(void *obj)
{
	if (defer_closed())
		return false;
	if (local_push(&defer_top, 0, obj) != LOCAL_DONE)
		return false;
	this_cpu_add64(defer_counts.queued, 1);
	irq_work_queue(this_cpu_ptr(defer_work));
	return true;
}

static enum local_result serve_one(void)
{
	u64 flags = arch_irq_save();
	enum local_result r;
	void *obj;

	moving_begin(MOVING_ANY);
	r = local_pop(&defer_top, 0, NULL, &obj);
	if (r == LOCAL_DONE) {
		slab_put(cache_of(obj), &obj, 1);
		this_cpu_add64(defer_counts.served, 1);
	}
	moving_end(MOVING_ANY);
	arch_irq_restore(flags);
	return r;
}

/* Bounded, whoever keeps interrupting, or defers another one in each turn: no more than there
 * were at first. What is left is asked for again. True: it saw the stack empty. *n counts what
 * was freed. */
static bool serve(u64 *n)
{
	unsigned int me = smp_processor_id(), tries = RETRIES;
	enum local_result r = LOCAL_DONE;

	for (u64 most = defer_count(me); most && tries && r != LOCAL_REFUSED; most -= r == LOCAL_DONE) {
		r = serve_one();
		*n += r == LOCAL_DONE;
		tries -= r == LOCAL_RESTART;
	}
	if (!defer_count(me))
		return true;
	defer_kick();
	return false;
}

u64 defer_serve(void)
{
	u64 n = 0;

	serve(&n);
	return n;
}

u64 defer_count(unsigned int cpu)
{
	void **floor = &per_cpu_ptr(defer_stack, cpu)->slot[1], **top = READ_ONCE(*per_cpu_ptr(defer_top, cpu));

	return (u64)(top - floor);
}

void *defer_peek(unsigned int cpu, u64 i)
{
	return READ_ONCE(per_cpu_ptr(defer_stack, cpu)->slot[1 + i]);
}

bool defer_holds(unsigned int cpu, const void *obj)
{
	u64 n = defer_count(cpu);

	for (u64 i = 0; i < n; i++)
		if (defer_peek(cpu, i) == obj)
			return true;
	return false;
}

/* In the IPI, or in a thread under CONFIG_RT: what waits, room in the magazines for the next frees, and slabs
 * that became empty. */
static void defer_work_run(struct irq_work *w)
{
	(void)w;
	mm_begin();
	if (CONFIG_KASAN && mm_tight)
		kasan_quarantine_drain();
	defer_serve();
	for (u32 i = 1; i < MAX_CACHES; i++) {
		struct kmem_cache *s = &caches[i];

		if (!__atomic_load_n(&s->live, __ATOMIC_ACQUIRE))
			continue;
		if (mm_tight)
			magazine_close(s);
		else if (magazine_count(s, smp_processor_id()) == s->limit)
			magazine_flush(s, s->limit / 2);
		for (int nid = 0; nid < (int)num_nodes(); nid++)
			if (partial_wants_trim(s, nid))
				partial_trim(s, nid);
		mm_point();
	}
	if (mm_tight)
		page_flush_cpu();
	mm_end();
}

void defer_kick(void)
{
	irq_work_queue(this_cpu_ptr(defer_work));
}

void defer_kick_all(void)
{
	unsigned int c;

	for_each_online_cpu(c)
		irq_work_queue_on(per_cpu_ptr(defer_work, c), c);
}

static void wait_begin(void)
{
	__atomic_add_fetch(&waiters, 1, __ATOMIC_SEQ_CST);
}

static void wait_end(void)
{
	__atomic_sub_fetch(&waiters, 1, __ATOMIC_RELEASE);
}

void defer_settle(void)
{
	wait_begin();
	for (unsigned int c = 0; c < num_possible_cpus(); c++)
		irq_work_sync(per_cpu_ptr(defer_work, c));
	wait_end();
}

/* Done is who saw the stack empty. How many were served tells nothing: what came in
 * meanwhile lay on top of the older ones. */
static void serve_here(void *unfinished)
{
	u64 n = 0;

	if (!serve(&n))
		__atomic_store_n((u32 *)unfinished, 1, __ATOMIC_RELAXED);
}

void defer_free_barrier(void)
{
	u32 unfinished;

	check_may_wait("defer_free_barrier");
	wait_begin();
	do {
		unfinished = 0;
		cpus_read_lock(); /* who goes is not asked any more, and has not served yet */
		on_each_cpu(serve_here, &unfinished, true);
		cpus_read_unlock();
	} while (unfinished);
	wait_end();
}

void defer_init(void)
{
	for (unsigned int c = 0; c < arch_nr_cpus_found(); c++) {
		init_irq_work_lazy(per_cpu_ptr(defer_work, c), defer_work_run);
		*per_cpu_ptr(defer_top, c) = &per_cpu_ptr(defer_stack, c)->slot[1];
	}
}
