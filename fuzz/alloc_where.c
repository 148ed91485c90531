/*
 * alloc_where.c - a call in a chosen context of a chosen CPU, or in the middle of another.
 *
 * The call that is interrupted runs with a debug exception after each instruction, but
 * only while it is inside the allocator (step_begin, step_end). In the exception that
 * counts, the other call is made: there, or in an NMI on top of it, or in an interrupt
 * that comes when it returns. What a sanitizer's runtime executes is gone over at full
 * speed (arch/hosted/step.c), as on the machine it would not be there.
 *
 * Invariant: todo is written by CPU 0's thread while nothing is under way.
 */
#include "fuzz/alloc.h"
#include <anyctx/irq_work.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/context.h"
#include "kernel/hooks.h"

static struct {
	const struct op *op;
	u32 cpu, done;
	struct irq_work work;
} todo;

static struct {
	bool armed;
	u64 left; /* steps until the other call is made */
	enum where how;
} stepping;

bool is_nested;

/* ---- one call ---- */

static void run_todo(void)
{
	if (todo.done || smp_processor_id() != todo.cpu)
		return;
	op_run(todo.op);
	__atomic_store_n(&todo.done, 1, __ATOMIC_RELEASE);
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
	run_todo();
	return true;
}

static void in_irq_work(struct irq_work *w)
{
	(void)w;
	run_todo();
}

static void in_its_thread(void *unused)
{
	(void)unused;
	run_todo();
}

static void todo_set(const struct op *op, u32 cpu)
{
	todo.op = op;
	todo.cpu = cpu;
	__atomic_store_n(&todo.done, 0, __ATOMIC_RELEASE);
}

static void todo_wait(void)
{
	while (!__atomic_load_n(&todo.done, __ATOMIC_ACQUIRE))
		cpu_relax();
}

static void queue_irq(u32 cpu)
{
	init_irq_work(&todo.work, in_irq_work);
	irq_work_queue_on(&todo.work, cpu);
}

void run_in(enum where where, const struct op *op)
{
	u32 cpu = where == THREAD_1 || where == IRQ_1 || where == NMI_1;

	todo_set(op, cpu);
	switch (where) {
	case THREAD_1:
		on_cpu1(in_its_thread, NULL);
		break;
	case IRQ:
	case IRQ_1:
		queue_irq(cpu);
		irq_work_sync(&todo.work);
		break;
	case NMI:
	case NMI_1:
		set_nmi_hook(in_nmi_hook);
		arch_send_nmi(cpu);
		todo_wait();
		set_nmi_hook(NULL);
		hook_sync();
		break;
	case DEBUG:
		set_trap_hook(in_trap_hook);
		arch_breakpoint();
		set_trap_hook(NULL);
		break;
	default:
		op_run(op);
		todo.done = 1;
	}
	FUZZ_CHECK(todo.done);
}

/* ---- one in the middle of another ---- */

void step_begin(void)
{
	if (stepping.armed && !is_nested)
		__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" : : "i"(RFLAGS_TF) : "memory", "cc");
}

void step_end(void)
{
	if (stepping.armed && !is_nested)
		__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" : : "i"(~RFLAGS_TF) : "memory", "cc");
	if (!is_nested)
		stepping.armed = false;
}

static void run_nested(void)
{
	is_nested = true;
	op_run(todo.op);
	is_nested = false;
	todo.done = 1;
}

static void nested_in_nmi(struct regs *r)
{
	(void)r;
	if (!smp_processor_id() && !todo.done)
		run_nested();
}

static void nested_in_irq(struct irq_work *w)
{
	(void)w;
	run_nested();
}

/* An NMI comes at once, or when what is interrupted was one itself. */
static void start_nested(void)
{
	if (stepping.how == NMI || stepping.how == NMI_1) {
		set_nmi_hook(nested_in_nmi);
		arch_send_nmi(0);
	} else if (stepping.how == IRQ || stepping.how == IRQ_1) {
		init_irq_work(&todo.work, nested_in_irq);
		irq_work_queue(&todo.work);
	} else {
		run_nested();
	}
}

static bool on_step(struct regs *r, u64 dr6)
{
	(void)dr6;
	if (--stepping.left) {
		arch_debug_undisturbed();
		return true;
	}
	r->rflags &= ~RFLAGS_TF; /* the rest at full speed */
	stepping.armed = false;
	start_nested();
	return true;
}

static const struct op *outer_op;
static u32 outer_done;

static void run_outer_in_nmi(struct regs *r)
{
	(void)r;
	if (smp_processor_id() || outer_done)
		return;
	set_nmi_hook(NULL);
	op_run(outer_op);
	outer_done = 1;
}

static void run_outer(const struct op *op, bool in_nmi)
{
	if (!in_nmi) {
		op_run(op);
		return;
	}
	outer_op = op;
	outer_done = 0;
	set_nmi_hook(run_outer_in_nmi);
	arch_send_nmi(0);
	while (!READ_ONCE(outer_done))
		cpu_relax();
}

u64 run_interrupted(const struct op *outer, bool in_nmi, const struct op *inner, enum where how, u64 step)
{
	bool started;

	todo_set(inner, 0);
	stepping.how = how;
	stepping.left = step + 1;
	stepping.armed = true;
	set_trap_hook(on_step);
	run_outer(outer, in_nmi);
	started = stepping.left == 0;
	stepping.armed = false;
	if (started)
		todo_wait();
	if (started && (how == IRQ || how == IRQ_1))
		irq_work_sync(&todo.work);
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
	if (!started)
		op_run(inner);
	return step + 1 - stepping.left;
}
