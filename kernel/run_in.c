/*
 * run_in.c - functions run in a chosen context (run_in.h).
 *
 * Invariant: one at a time. It is its beginner's until the store of `wanted`, then that
 * CPU's, which takes it by one compare-and-swap, until it stores 0 there, after the function
 * has returned. So an NMI inside the function does not run it again.
 */
#include "kernel/run_in.h"
#include <anyctx/irq_work.h>
#include <anyctx/smp.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "kernel/panic.h"
#include "lib/string.h"

static struct {
	void (*fn)(void *);
	void *arg;
	enum context ctx;
	u32 cpu;
	u32 wanted; /* CPU + 1; RUNS; 0: done */
} todo;
#define RUNS (~0u)

enum context context_of_place(enum context place)
{
	return place == CTX_IRQS_OFF ? CTX_THREAD : place;
}

bool place_of_name(const char *name, enum context *place)
{
	static const char *const names[NR_PLACES] = { "thread", "irq", "nmi", "debug", "irqoff" };

	for (unsigned int i = 0; i < NR_PLACES; i++)
		if (!strcmp(name, names[i])) {
			*place = (enum context)i;
			return true;
		}
	return false;
}

/* The hooks are the same on every CPU, and other NMIs may come. */
static bool run_todo(void)
{
	u32 mine = smp_processor_id() + 1;

	if (!__atomic_compare_exchange_n(&todo.wanted, &mine, RUNS, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	BUG_ON(current_context() != context_of_place(todo.ctx));
	todo.fn(todo.arg);
	__atomic_store_n(&todo.wanted, 0, __ATOMIC_RELEASE);
	return true;
}

static void in_nmi_hook(struct regs *r)
{
	(void)r;
	run_todo();
}

static bool in_trap_hook(struct regs *r, u64 dr6)
{
	(void)r;
	(void)dr6;
	return run_todo();
}

static void in_irq(struct irq_work *w)
{
	(void)w;
	run_todo();
}

static void in_its_thread(void *unused)
{
	u64 flags;

	(void)unused;
	if (todo.ctx == CTX_DEBUG) {
		arch_breakpoint();
	} else if (todo.ctx == CTX_IRQS_OFF) {
		flags = arch_irq_save();
		run_todo();
		arch_irq_restore(flags);
	} else {
		run_todo();
	}
}

static struct irq_work work;

static void start(void)
{
	switch (todo.ctx) {
	case CTX_IRQ:
		init_irq_work(&work, in_irq);
		irq_work_queue_on(&work, todo.cpu);
		break;
	case CTX_NMI:
		set_nmi_hook(in_nmi_hook);
		arch_send_nmi(todo.cpu);
		break;
	default:
		set_trap_hook(in_trap_hook);
		if (todo.cpu == smp_processor_id())
			in_its_thread(NULL);
		else
			cpu_thread_run(todo.cpu, in_its_thread, NULL);
	}
}

void run_in_begin(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg)
{
	todo.fn = fn;
	todo.arg = arg;
	todo.ctx = ctx;
	todo.cpu = cpu;
	__atomic_store_n(&todo.wanted, cpu + 1, __ATOMIC_RELEASE);
	start();
}

void run_in(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg)
{
	if (ctx == CTX_IRQ)
		irq_work_sync(&work); /* the last one has run, but may not have ended */
	run_in_begin(ctx, cpu, fn, arg);
	while (__atomic_load_n(&todo.wanted, __ATOMIC_ACQUIRE))
		cpu_relax();
	if (cpu && (context_of_place(ctx) == CTX_THREAD || ctx == CTX_DEBUG))
		cpu_thread_wait(cpu);
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
}

void each_place(unsigned int places, void (*try)(enum context place, unsigned int cpu, void *arg), void *arg)
{
	unsigned int last = num_online_cpus() - 1;

	for (unsigned int place = 0; place < NR_PLACES; place++) {
		if (!(places >> place & 1))
			continue;
		try((enum context)place, 0, arg);
		if (last)
			try((enum context)place, last, arg);
	}
}
