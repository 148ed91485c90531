/*
 * workload_op.c - the operations of the main job, in every context.
 *
 * One operation makes a block and exchanges it for what lies in a slot, of its own
 * CPU or another's; what came out is checked and freed. So blocks go from any context
 * of any CPU to any other.
 *
 * Invariant: a block belongs to whoever has its word (workload_block.h), and a word
 * is in one slot or in one operation's hands: it moves by one exchange. `held` is at
 * least the bytes of all blocks there are, and at most the share but for operations
 * that are about to take back what they tried to add.
 *
 * A worker is one context of one CPU, at one depth of nesting: only it writes its
 * numbers. `busy` keeps out an NMI that nests in it, which takes the next worker, or
 * does nothing. An interrupt or NMI that comes sooner after the last one's work than
 * that took does nothing either, so no context takes more than half of its CPU, and
 * whatever their rate the others go on. (They get a millisecond at the most: what took
 * longer is likely to have been put aside by an emulator's host.)
 */
#include "kernel/workload_op.h"
#include <anyctx/memcg.h>
#include <anyctx/slab.h>
#include <anyctx/smp.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/paging.h>
#include <arch/time.h>
#include "kernel/cmdline.h"
#include "kernel/hooks.h"
#include "kernel/printk.h"
#include "kernel/tick.h"
#include "kernel/workload_block.h"
#include "kernel/workload_inside.h"
#include "kernel/workload_memcg.h"
#include "kernel/workload_worst.h"
#include "mm/fail.h"
#include "mm/mm.h"

#define SLOTS 512
#define DEPTHS 2
#define NMI_BATCH 16
#define IRQ_BATCH 4
#define BURST_MORE 32 /* so many more objects of KMALLOC_MAX_CACHE_SIZE than a CPU keeps of them */
#define REST_NS 1000000   /* for the others after a batch, at most */
#define MOMENT_NS 2000000 /* see count_null */
#define CHURN 64
/* One thread operation in so many ... */
#define BREAK_EVERY 64    /* comes after a breakpoint; so does one batch in NMIs */
#define BURST_EVERY 64    /* batches in NMIs begin with a burst */
#define IRQS_OFF_EVERY 16 /* runs with interrupts off */
#define SEND_NMI_EVERY 64 /* sends an NMI to some CPU */
/* One tick in so many makes its thread single-step, for so many instructions. */
#define STEP_EVERY 16
#define STEPS 24

static s64 seed;
KPARAM_INT(seed, "seed", 0, 0x7fffffffffffffffL, "of the main job's random numbers; 0: by the clock");

struct worker {
	u64 busy;
	u64 end_ns, rest_ns; /* of the last batch; how long the others come first then */
	enum inside inside;  /* what the NMI that it works in has interrupted */
	struct rng rng;
	struct op_counts n;
};

static DEFINE_PER_CPU(struct worker, workers[NR_CONTEXT][DEPTHS]);
static DEFINE_PER_CPU(u64, slots[SLOTS]);
/* Breakpoint instructions under way, and single steps to come: those are ours. */
static DEFINE_PER_CPU(u64, breaks);
static DEFINE_PER_CPU(u64, steps_left);
static u64 held, share_bytes;
static bool only_inside; /* NMIs that have not interrupted the allocator do nothing */

static struct worker *worker_of(unsigned int cpu, enum context c, unsigned int depth)
{
	return &(*per_cpu_ptr(workers, cpu))[c][depth];
}

/* ---- one operation ---- */

/* A worker's own number, which CPU 0 reads meanwhile. */
static void count(u64 *number, u64 n)
{
	WRITE_ONCE(*number, *number + n);
}

static enum null_size null_size(u64 bytes)
{
	if (bytes <= PAGE_SIZE)
		return NULL_4K;
	return bytes <= 64 << 10 ? NULL_64K : bytes <= 1 << 20 ? NULL_1M : NULL_4M;
}

static bool hold(u64 bytes)
{
	if (__atomic_add_fetch(&held, bytes, __ATOMIC_RELAXED) <= share_bytes)
		return true;
	__atomic_fetch_sub(&held, bytes, __ATOMIC_RELAXED);
	return false;
}

static void let_go(u64 bytes)
{
	__atomic_fetch_sub(&held, bytes, __ATOMIC_RELAXED);
}

static struct block_call choose_call(struct worker *w, enum context c, bool may_wait)
{
	bool nolock = c == CTX_NMI || c == CTX_DEBUG || rng_next(&w->rng) >> 63;

	return (struct block_call){
		.nolock = nolock,
		.gfp = (nolock ? 0 : may_wait ? GFP_KERNEL : GFP_ATOMIC) | __GFP_NOWARN |
		       (job_paid() ? __GFP_ACCOUNT : 0),
	};
}

/* Before a call, for count_null. */
struct before {
	u64 ns, injected, spurious, refused;
};

static struct before before_call(void)
{
	return (struct before){ .ns = arch_ns(), .injected = fail_injected_here(), .spurious = mm_spurious_here(),
				.refused = mm_refused_here() };
}

static void count_allocs(struct worker *w, u64 n, u64 bytes)
{
	count(&w->n.allocs, n);
	count(&w->n.bytes, bytes);
	if (w->inside != OUTSIDE)
		count(&w->n.inside, n);
	if (w->inside == INSIDE)
		count(&w->n.inside_rip, n);
}

/*
 * No page of memory, though at least half of all pages are free a moment later: the
 * allocator had no reason to say so. (Larger blocks may be wanting for real.) If the
 * moment was long, an emulator's host has put this CPU aside in between: who knows.
 * The sum is off by what moves between CPUs meanwhile; that is less than half of
 * memory as long as the job keeps to its share. What fault injection has refused is
 * no failure; an NMI's share of that may excuse the call that it has interrupted. Nor is
 * what a group's limit has refused in this context.
 */
static void count_null(struct worker *w, u64 bytes, struct before b)
{
	bool unfounded, spurious = mm_spurious_here() != b.spurious;

	count(&w->n.nulls[null_size(bytes)], 1);
	if (w->inside != OUTSIDE)
		count(&w->n.inside_nulls, 1);
	if (mm_refused_here() != b.refused) {
		count(&w->n.refused, 1);
		return;
	}
	if (fail_injected_here() != b.injected)
		return;
	unfounded = bytes <= PAGE_SIZE && nr_free_pages() >= nr_managed_pages() / 2 && arch_ns() - b.ns < MOMENT_NS;
	if (unfounded)
		count(&w->n.unfounded, 1);
	if (w->inside != OUTSIDE && (unfounded || spurious))
		count(&w->n.inside_unfounded, 1);
}

/* A new block as a word, 0: none. */
static u64 make_block(struct worker *w, enum context c, bool may_wait)
{
	struct block b = { .cpu = smp_processor_id(), .ctx = c };
	struct block_call call = choose_call(w, c, may_wait);
	struct mem_cgroup *was;
	struct worst_probe probe;
	struct before before;

	block_choose(&b, &w->rng);
	if (!hold(block_charge(&b))) {
		count(&w->n.over_share, 1);
		return 0;
	}
	before = before_call();
	probe = worst_begin();
	was = job_paid() ? job_pays(c) : NULL;
	block_alloc(&b, call);
	if (job_paid())
		set_active_memcg(was);
	if (call.nolock)
		worst_end(probe, &b, "allocation");
	if (!b.addr) {
		count_null(w, block_charge(&b), before);
		let_go(block_charge(&b));
		return 0;
	}
	if (!block_fill(&b))
		return 0;
	count_allocs(w, 1, b.size);
	return block_pack(&b);
}

static void drop_block(struct worker *w, enum context c, u64 word)
{
	struct block b = block_unpack(word);
	struct block_call call = choose_call(w, c, false);
	struct worst_probe probe;

	block_check(&b);
	probe = worst_begin();
	block_free(&b, call, &w->rng);
	if (call.nolock)
		worst_end(probe, &b, "free");
	let_go(block_charge(&b));
	count(&w->n.frees, 1);
	count(&w->n.from_cpus, b.cpu != smp_processor_id());
	count(&w->n.from_contexts, b.ctx != c);
}

/* One of this CPU's slots, or one in four times of any CPU's. */
static u64 *choose_slot(struct worker *w)
{
	unsigned int cpu = smp_processor_id();
	u64 i = rng_below(&w->rng, 4 * SLOTS);

	if (i < SLOTS)
		cpu = (unsigned int)rng_below(&w->rng, num_possible_cpus());
	return &(*per_cpu_ptr(slots, cpu))[i % SLOTS];
}

/* One block in four is freed at once. */
static void operate(struct worker *w, enum context c, bool may_wait)
{
	u64 word = make_block(w, c, may_wait);

	if (!word || rng_below(&w->rng, 4))
		word = __atomic_exchange_n(choose_slot(w), word, __ATOMIC_ACQ_REL);
	if (word)
		drop_block(w, c, word);
}

/* More frees in a row than a CPU keeps objects: an NMI leaves the rest to an interrupt
 * (deferral). They are chained through their first words. */
static void burst(struct worker *w)
{
	u64 most = mm_kept_of(KMALLOC_MAX_CACHE_SIZE) + BURST_MORE, n = 0;
	void **chain = NULL;

	if (!hold(most * KMALLOC_MAX_CACHE_SIZE)) {
		count(&w->n.over_share, 1);
		return;
	}
	for (u64 i = 0; i < most; i++) {
		struct before before = before_call();
		void **p = kmalloc_nolock(KMALLOC_MAX_CACHE_SIZE, 0, NUMA_NO_NODE);

		if (!p) {
			count_null(w, KMALLOC_MAX_CACHE_SIZE, before);
			continue;
		}
		*p = chain;
		chain = p;
		n++;
	}
	count_allocs(w, n, n * KMALLOC_MAX_CACHE_SIZE);
	count(&w->n.frees, n);
	while (chain) {
		void **p = chain;

		chain = *p;
		kfree_nolock(p);
	}
	let_go(most * KMALLOC_MAX_CACHE_SIZE);
}

/* ---- workers ---- */

/* Who comes in between the test and the store has finished before the store. */
static struct worker *worker_enter(enum context c)
{
	for (unsigned int depth = 0; depth < DEPTHS; depth++) {
		struct worker *w = worker_of(smp_processor_id(), c, depth);

		if (READ_ONCE(w->busy))
			continue;
		WRITE_ONCE(w->busy, 1);
		barrier();
		return w;
	}
	return NULL;
}

static void worker_leave(struct worker *w)
{
	barrier();
	WRITE_ONCE(w->busy, 0);
}

static void breakpoint(void)
{
	this_cpu_add64(breaks, 1);
	arch_breakpoint();
	this_cpu_add64(breaks, -1);
}

/* r: what an NMI has interrupted; NULL: not an NMI. */
static void batch(enum context c, unsigned int n, const struct regs *r)
{
	struct worker *w = worker_enter(c);
	u64 now = arch_ns();

	if (!w)
		return;
	w->inside = r ? allocator_interrupted(r) : OUTSIDE;
	if (now - w->end_ns >= w->rest_ns && !(r && only_inside && w->inside == OUTSIDE)) {
		/* Its IRET lets the next NMI in, into the middle of this one. */
		if (c == CTX_NMI && !rng_below(&w->rng, BREAK_EVERY))
			breakpoint();
		if (c == CTX_NMI && !rng_below(&w->rng, BURST_EVERY))
			burst(w);
		while (n--)
			operate(w, c, false);
		w->end_ns = arch_ns();
		w->rest_ns = w->end_ns - now < REST_NS ? w->end_ns - now : REST_NS;
	}
	worker_leave(w);
}

/* ---- hooks ---- */

/*
 * A thread is what a tick interrupts. From here it runs into a debug exception at
 * each instruction, wherever it was: for a while only, as a restartable sequence
 * in it does not come to its end in that time.
 */
static void step_thread(struct regs *r)
{
	this_cpu_write64(steps_left, STEPS);
	r->rflags |= RFLAGS_TF;
}

/* Not of a library: the process steps over those, but for one that it is in the middle of. */
static bool may_step(const struct regs *r)
{
	return arch_in_kernel_image((void *)r->rip);
}

static void send_nmi(unsigned int cpu)
{
	if (cpu_online(cpu))
		arch_send_nmi(cpu);
}

/* Each tick also sends an NMI, to the other CPUs by turns. */
static void on_tick(struct regs *r)
{
	unsigned int me = smp_processor_id(), n = num_possible_cpus();
	u64 tick = tick_number(me), turn = n > 1 ? 1 + tick % (n - 1) : 0;
	struct worst_aside aside = worst_aside_begin();

	send_nmi((unsigned int)((me + turn) % n));
	batch(CTX_IRQ, IRQ_BATCH, NULL);
	worst_aside_end(aside);
	if (tick % STEP_EVERY == 0 && may_step(r))
		step_thread(r);
}

static void on_nmi(struct regs *r)
{
	struct worst_aside aside = worst_aside_begin();

	batch(CTX_NMI, NMI_BATCH, r);
	worst_aside_end(aside);
}

static void operate_in_trap(void)
{
	struct worst_aside aside = worst_aside_begin();
	struct worker *w = worker_enter(CTX_DEBUG);

	if (!w)
		return;
	operate(w, CTX_DEBUG, false);
	worker_leave(w);
	worst_aside_end(aside);
}

static bool on_trap(struct regs *r, u64 dr6)
{
	if (dr6 & DR6_SINGLE_STEP ? !this_cpu_read64(steps_left) : !this_cpu_read64(breaks))
		return false;
	operate_in_trap();
	if (dr6 & DR6_SINGLE_STEP) {
		this_cpu_add64(steps_left, -1);
		if (!this_cpu_read64(steps_left))
			r->rflags &= ~RFLAGS_TF;
	}
	return true;
}

void ops_hooks_set(void)
{
	set_trap_hook(on_trap);
	set_nmi_hook(on_nmi);
	set_tick_hook(on_tick);
}

/* The trap hook last, when no thread single-steps any more. */
void ops_hooks_clear(void)
{
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	hook_sync();
	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		while (READ_ONCE(*per_cpu_ptr(steps_left, cpu)))
			cpu_relax();
	set_trap_hook(NULL);
	hook_sync();
}

/* ---- threads ---- */

static bool one_in(struct worker *w, u64 n)
{
	return !rng_below(&w->rng, n);
}

/* Calls one behind the other, so that most of what an NMI interrupts is the allocator. */
static void churn(struct worker *w)
{
	void *p[CHURN];

	for (unsigned int i = 0; i < CHURN; i++)
		p[i] = kmalloc(1UL << rng_below(&w->rng, 14), GFP_ATOMIC | __GFP_NOWARN);
	for (unsigned int i = 0; i < CHURN; i++)
		kfree(p[i]);
}

void ops_thread(void)
{
	struct worker *w = worker_enter(CTX_THREAD);
	bool irqs_off = one_in(w, IRQS_OFF_EVERY);
	u64 flags = 0;

	if (one_in(w, BREAK_EVERY))
		breakpoint();
	if (one_in(w, SEND_NMI_EVERY))
		send_nmi((unsigned int)rng_below(&w->rng, num_possible_cpus()));
	if (irqs_off)
		flags = arch_irq_save();
	operate(w, CTX_THREAD, !irqs_off);
	if (only_inside)
		churn(w);
	if (irqs_off)
		arch_irq_restore(flags);
	worker_leave(w);
}

static void drain_slots(struct worker *w, u64 *s)
{
	for (unsigned int i = 0; i < SLOTS; i++) {
		u64 word = __atomic_exchange_n(&s[i], 0, __ATOMIC_ACQ_REL);

		if (word)
			drop_block(w, CTX_THREAD, word);
	}
}

/* The next CPU's, and those of CPUs offline before it. */
void ops_drain(void)
{
	struct worker *w = worker_enter(CTX_THREAD);
	unsigned int cpu = smp_processor_id();

	do {
		cpu = (cpu + 1) % num_possible_cpus();
		drain_slots(w, *per_cpu_ptr(slots, cpu));
	} while (!cpu_online(cpu));
	worker_leave(w);
}

/* ---- begin, end, counts ---- */

bool ops_begin(u64 share, bool nmis_only_inside)
{
	u64 first = seed ? (u64)seed : arch_ns();

	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		for (unsigned int i = 0; i < NR_CONTEXT * DEPTHS; i++) {
			struct worker *w = worker_of(cpu, (enum context)(i / DEPTHS), i % DEPTHS);

			*w = (struct worker){ .busy = 0 };
			rng_init(&w->rng, cpu * NR_CONTEXT * DEPTHS + i + first);
		}
	held = 0;
	share_bytes = share;
	only_inside = nmis_only_inside;
	return block_caches_create();
}

bool ops_end(void)
{
	bool ok = block_caches_destroy();

	if (held)
		printk("workload: %lu bytes were not freed\n", held);
	return ok && !held;
}

void ops_count(unsigned int cpu, enum context c, struct op_counts *sum)
{
	for (unsigned int depth = 0; depth < DEPTHS; depth++) {
		const struct op_counts *n = &worker_of(cpu, c, depth)->n;

		sum->allocs += READ_ONCE(n->allocs);
		sum->frees += READ_ONCE(n->frees);
		sum->bytes += READ_ONCE(n->bytes);
		sum->from_cpus += READ_ONCE(n->from_cpus);
		sum->from_contexts += READ_ONCE(n->from_contexts);
		sum->over_share += READ_ONCE(n->over_share);
		sum->refused += READ_ONCE(n->refused);
		sum->unfounded += READ_ONCE(n->unfounded);
		sum->inside += READ_ONCE(n->inside);
		sum->inside_rip += READ_ONCE(n->inside_rip);
		sum->inside_nulls += READ_ONCE(n->inside_nulls);
		sum->inside_unfounded += READ_ONCE(n->inside_unfounded);
		for (unsigned int i = 0; i < NR_NULL_SIZE; i++)
			sum->nulls[i] += READ_ONCE(n->nulls[i]);
	}
}
