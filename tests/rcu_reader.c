/*
 * rcu_reader.c - a reader that stays inside (rcu_reader.h).
 */
#include "tests/rcu_reader.h"
#include <anyctx/irq_work.h>
#include <anyctx/rcupdate.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include "kernel/hooks.h"
#include "tests/test.h"

#define POLLS 200000

static u32 inside, over, go;
static unsigned int on_cpu;
static enum context in_ctx;
static struct irq_work work;

static void read_until_told(void)
{
	EXPECT_EQ(current_context(), in_ctx);
	rcu_read_lock();
	__atomic_store_n(&inside, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&go, __ATOMIC_ACQUIRE))
		cpu_relax();
	rcu_read_unlock();
	__atomic_store_n(&over, 1, __ATOMIC_RELEASE);
}

static bool is_it(void)
{
	return smp_processor_id() == on_cpu && !inside;
}

static void on_nmi(struct regs *r)
{
	(void)r;
	if (is_it())
		read_until_told();
}

static bool on_trap(struct regs *r, u64 dr6)
{
	(void)r;
	(void)dr6;
	if (!is_it())
		return false;
	read_until_told();
	return true;
}

static void on_irq(struct irq_work *w)
{
	(void)w;
	read_until_told();
}

static void on_thread(void *unused)
{
	(void)unused;
	if (in_ctx == CTX_DEBUG)
		arch_breakpoint();
	else
		read_until_told();
}

void reader_begin(enum context ctx, unsigned int cpu)
{
	inside = over = go = 0;
	on_cpu = cpu;
	in_ctx = ctx;
	if (ctx == CTX_NMI) {
		set_nmi_hook(on_nmi);
		arch_send_nmi(cpu);
	} else if (ctx == CTX_IRQ) {
		init_irq_work(&work, on_irq);
		irq_work_queue_on(&work, cpu);
	} else {
		set_trap_hook(on_trap);
		cpu_thread_run(cpu, on_thread, NULL);
	}
	while (!__atomic_load_n(&inside, __ATOMIC_ACQUIRE))
		cpu_relax();
}

void reader_let_go(void)
{
	__atomic_store_n(&go, 1, __ATOMIC_RELEASE);
}

void reader_end(void)
{
	reader_let_go();
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE))
		cpu_relax();
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
	if (in_ctx == CTX_IRQ)
		irq_work_sync(&work);
	else
		cpu_thread_wait(on_cpu);
}

bool reader_polled(u64 number)
{
	for (unsigned int i = 0; i < POLLS; i++) {
		if (poll_state_synchronize_rcu(number))
			return true;
		cpu_relax();
	}
	return false;
}
