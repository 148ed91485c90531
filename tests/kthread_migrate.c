/*
 * kthread_migrate.c - a thread in the middle of an allocation or a free goes on on another
 * CPU, before each instruction, while threads of the CPU that it left allocate.
 *
 * A debug exception after each instruction asks for the move and sends the IPI that does
 * it, which comes before the next instruction; so this is the way every move goes. On one
 * CPU the thread stays, and another one runs in between.
 */
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/task.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "tests/step.h"
#include "tests/test.h"

#define KEPT 4
#define MANY 600
#define MOST 600
#define SAMPLES 40 /* of a call whose points are more than that, where the CPU is kept */

/* ---- who disturbs: the highest priority, one on each of two CPUs ---- */

struct disturber {
	struct task *task;
	u64 rounds, cpu;
	u64 *kept[KEPT];
	struct page *page;
};
static struct disturber disturbers[2];
static u64 wrong, nulls;

static u64 *take(size_t size, u64 owner)
{
	u64 *p = kmalloc_nolock(size, 0, NUMA_NO_NODE);

	if (!p)
		__atomic_fetch_add(&nulls, 1, __ATOMIC_RELAXED);
	else
		WRITE_ONCE(p[0], owner), WRITE_ONCE(p[size / 8 - 1], owner);
	return p;
}

static void give(u64 *p, size_t size, u64 owner)
{
	if (!p)
		return;
	if (READ_ONCE(p[0]) != owner || READ_ONCE(p[size / 8 - 1]) != owner)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_RELAXED);
	kfree(p);
}

static void disturb(struct disturber *d)
{
	static const size_t sizes[KEPT] = { 64, 96, 2048, 8192 };
	unsigned int i = d->rounds % KEPT;
	u64 me = (u64)d + d->rounds;

	give(d->kept[i], sizes[i], me - KEPT);
	d->kept[i] = take(sizes[i], me);
	give(take(64, me + 1), 64, me + 1);
	if (d->page)
		free_pages(d->page, d->rounds % 2 ? 9 : 0);
	d->page = alloc_pages(GFP_NOWAIT, d->rounds % 2 ? 0 : 9);
	d->rounds++;
}

static int disturber(void *arg)
{
	struct disturber *d = arg;
	static const size_t sizes[KEPT] = { 64, 96, 2048, 8192 };

	while (!kthread_should_stop()) {
		park();
		disturb(d);
	}
	for (unsigned int i = 0; i < KEPT; i++) {
		unsigned int at = (d->rounds + i) % KEPT;

		give(d->kept[at], sizes[at], (u64)d + d->rounds + i - KEPT);
		d->kept[at] = NULL;
	}
	free_pages(d->page, d->rounds % 2 ? 9 : 0);
	d->page = NULL;
	return 0;
}

/* ---- the calls, each with the state it is made in ---- */

static void *many[MANY];
static u64 *obj;
static struct page *page;
static struct kmem_cache *constructed;

static void flush_here(void)
{
	preempt_disable();
	flush_cpu();
	preempt_enable();
}

static void constructor(void *p)
{
	*(u64 *)p = 77;
}

static void stocked(void)
{
	kfree(kmalloc(64, GFP_NOWAIT));
}

static void alloc_64(void)
{
	obj = take(64, 5);
}

static void free_64(void)
{
	give(obj, 64, 5);
	obj = NULL;
}

static void free_64_directly(void)
{
	kfree(obj);
}

static void have_64(void)
{
	obj = take(64, 5);
	if (obj)
		WRITE_ONCE(obj[0], 5);
}

/* Slabs with free objects, and an empty magazine. */
static void chained(void)
{
	for (unsigned int i = 0; i < 80; i++)
		many[i] = kmalloc(64, GFP_NOWAIT);
	for (unsigned int i = 0; i < 80; i++)
		kfree(many[i]);
	flush_here();
}

/* A full magazine of kmalloc-8k, and one object more. */
static void full(void)
{
	u64 n = mm_kept_of(8192);

	n = n < MANY ? n : MANY;
	for (u64 i = 0; i < n; i++)
		many[i] = kmalloc(8192, GFP_NOWAIT);
	obj = take(8192, 6);
	for (u64 i = 0; i < n; i++)
		kfree(many[i]);
}

static void free_8k(void)
{
	kfree(obj);
	obj = NULL;
}

static void alloc_8k(void)
{
	obj = take(8192, 6);
}

static void constructed_run(void)
{
	u64 *p = kmem_cache_alloc(constructed, GFP_NOWAIT);

	if (p && *p != 77)
		wrong++;
	if (p)
		kmem_cache_free(constructed, p);
}

static unsigned int page_order;

static void pages_run(void)
{
	page = alloc_pages(GFP_NOWAIT, page_order);
	if (page)
		free_pages(page, page_order);
	else
		nulls++;
}

static void large_run(void)
{
	u64 *p = take(100000 & ~7UL, 9);

	p = krealloc(p, 300000, GFP_NOWAIT);
	if (p && p[0] != 9)
		wrong++;
	kfree(p);
}

static const struct call {
	const char *name;
	void (*before)(void), (*run)(void), (*after)(void);
	unsigned int order;
} calls[] = {
	{ "kmalloc", stocked, alloc_64, free_64, 0 },
	{ "kfree", have_64, free_64_directly, NULL, 0 },
	{ "kmalloc, from a slab", chained, alloc_64, free_64, 0 },
	{ "kmalloc, a new slab", flush_here, alloc_8k, free_8k, 0 },
	{ "kfree, magazine full", full, free_8k, NULL, 0 },
	{ "a constructed object", flush_here, constructed_run, NULL, 0 },
	{ "a page", stocked, pages_run, NULL, 0 },
	{ "a page, none private", flush_here, pages_run, NULL, 0 },
	{ "order 3", flush_here, pages_run, NULL, 3 },
	{ "order 6", flush_here, pages_run, NULL, 6 },
	{ "order 9", flush_here, pages_run, NULL, 9 },
	{ "order 10", flush_here, pages_run, NULL, 10 },
	{ "large, reallocated", flush_here, large_run, NULL, 0 },
};

/* ---- moving ---- */

static struct task *mover;
static u64 steps, move_at, points, movable, moved;
static bool every; /* step from move_at on, MOST of them: without end nobody would get on */
static int asked_from;  /* the CPU the last step asked to leave; -1: it could not */

static u32 other_cpu(void)
{
	return num_online_cpus() > 1 ? smp_processor_id() ^ 1 : 0;
}

static void ask(const struct regs *r)
{
	bool may = !this_cpu_read64(preempt_count) && mm_may_preempt() && r->rflags & RFLAGS_IF && !mover->pinned;

	points++;
	movable += may;
	asked_from = may && num_online_cpus() > 1 ? (int)smp_processor_id() : -1;
	wake_up_process(disturbers[smp_processor_id()].task);
	kthread_set_cpu(mover, (int)other_cpu());
}

static bool on_step(struct regs *r, u64 dr6)
{
	if (!(dr6 & DR6_SINGLE_STEP))
		return false;
	arch_debug_undisturbed();
	if (current_task() != mover)
		return true; /* in the middle of a switch */
	steps++;
	if (asked_from >= 0) {
		moved++;
		EXPECT(smp_processor_id() != (u32)asked_from);
		asked_from = -1;
	}
	if (steps >= move_at && steps < move_at + (every ? MOST : 1))
		ask(r);
	if (steps > move_at + (every ? MOST : 0))
		r->rflags &= ~RFLAGS_TF; /* the rest at full speed */
	return true;
}

static void step_run(void *run)
{
	((void (*)(void))run)();
}

/* One run; false: the call is shorter than that. */
static bool one_run(const struct call *c, u64 at)
{
	bool there;

	page_order = c->order;
	c->before();
	steps = 0;
	move_at = at;
	asked_from = -1;
	call_stepping(step_run, (void *)c->run);
	there = steps >= at;
	if (c->after)
		c->after();
	kthread_set_cpu(mover, 0);
	return there;
}

static int move_through(void *arg)
{
	const struct call *c = arg;
	u64 n, at = 1, stride;

	mover = current_task();
	every = false;
	one_run(c, ~0UL >> 1);
	n = steps;
	stride = n / SAMPLES + 1;
	while (one_run(c, at))
		at += at < 60 || at + 60 > n ? 1 : stride; /* the ends, where the CPU is not kept, whole */
	every = true;
	for (unsigned int i = 0; i < 3; i++)
		one_run(c, 1);
	every = false;
	return 0;
}

static bool disturbers_start(void)
{
	for (unsigned int i = 0; i < 2 && i < num_online_cpus(); i++) {
		disturbers[i].rounds = 0;
		disturbers[i].task = kthread_run_on_cpu(disturber, &disturbers[i], i, "disturber");
		if (!disturbers[i].task)
			return false;
		sched_set_priority(disturbers[i].task, PRIO_HIGHEST);
	}
	return true;
}

static void move_through_call(const struct call *c)
{
	struct task *t;

	points = movable = moved = 0;
	t = kthread_run_on_cpu(move_through, (void *)c, 0, "mover");
	REQUIRE(t);
	kthread_join(t);
	EXPECT(points > 10 && movable > 10);
	if (num_online_cpus() > 1)
		EXPECT(moved > 10);
	test_note("%-22s %6lu points, %6lu of them moved at once, %lu seen", c->name, points, movable, moved);
}

TEST(migrate, every_instruction,
     "a thread that moves to another CPU before any instruction of a call gets what is its own, and loses nothing")
{
	if (!step_possible())
		return;
	wrong = nulls = 0;
	constructed = kmem_cache_create("migrate", 40, 0, 0, constructor);
	REQUIRE(constructed && disturbers_start());
	set_trap_hook(on_step);
	for (unsigned int i = 0; i < ARRAY_SIZE(calls); i++)
		move_through_call(&calls[i]);
	set_trap_hook(NULL);
	hook_sync();
	for (unsigned int i = 0; i < 2 && i < num_online_cpus(); i++)
		kthread_stop(disturbers[i].task);
	EXPECT_EQ(kmem_cache_destroy(constructed), 0);
	EXPECT(!hint_busy());
	EXPECT_EQ(hands_open(), 0);
	EXPECT_EQ(wrong, 0);
	EXPECT_EQ(nulls, 0);
	test_note("%lu rounds of the disturbers", disturbers[0].rounds + disturbers[1].rounds);
}
