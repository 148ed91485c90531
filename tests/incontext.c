/*
 * incontext.c - functions run where a test wants them (incontext.h). One at a time.
 */
#include "tests/incontext.h"
#include <anyctx/irq_work.h>
#include <anyctx/smp.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "tests/test.h"

static struct {
	void (*fn)(void *);
	void *arg;
	enum context ctx;
	u32 cpu;
	u32 wanted; /* CPU + 1; 0: done */
} todo;

enum context context_of_place(enum context place)
{
	return place == CTX_IRQS_OFF ? CTX_THREAD : place;
}

/* The hooks are the same on every CPU, and other NMIs may come. */
static bool run_todo(void)
{
	if (__atomic_load_n(&todo.wanted, __ATOMIC_ACQUIRE) != smp_processor_id() + 1)
		return false;
	EXPECT_EQ(current_context(), context_of_place(todo.ctx));
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

static void start(void)
{
	static struct irq_work w;

	switch (todo.ctx) {
	case CTX_IRQ:
		irq_work_sync(&w); /* the last one has run, but may not have ended */
		init_irq_work(&w, in_irq);
		irq_work_queue_on(&w, todo.cpu);
		break;
	case CTX_NMI:
		set_nmi_hook(in_nmi_hook);
		arch_send_nmi(todo.cpu);
		break;
	default:
		set_trap_hook(in_trap_hook);
		if (todo.cpu)
			cpu_thread_run(todo.cpu, in_its_thread, NULL);
		else
			in_its_thread(NULL);
	}
}

void run_in(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg)
{
	todo.fn = fn;
	todo.arg = arg;
	todo.ctx = ctx;
	todo.cpu = cpu;
	__atomic_store_n(&todo.wanted, cpu + 1, __ATOMIC_RELEASE);
	start();
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
