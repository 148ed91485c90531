/*
 * alloc_cpus.c - the two CPUs of the allocator's target, by turns on one thread: so an
 * input does the same each time, and nobody waits for the host to let the other one run.
 * In place of arch/hosted/smp.c.
 *
 * Which CPU it is, is its GS base, and nothing else. What one sends to the other is served
 * at once, on top of what the sender does, and then that goes on: as if the other had been
 * quick. With its interrupts off the other finds the event in irq_pending when it
 * enables them. CPU 0 sends itself real signals, so that they come between two of its
 * instructions; CPU 1, which is not interrupted, calls.
 *
 * Invariant: whoever changes the GS base puts it back before it returns, so code of each
 * CPU runs with its own, and what a signal interrupts it finds so.
 */
#include <asm/hwcap2.h>
#include <asm/prctl.h>
#include <sys/auxv.h>
#include "arch/hosted/host.h"
#include "fuzz/alloc.h"
#include "kernel/smp.h"

struct host_cpu host_cpus[NR_CPUS];
int host_pid;

static bool have_wrgsbase; /* the host lets processes use the instruction */

static void become(unsigned int cpu)
{
	if (have_wrgsbase)
		__asm__ volatile("wrgsbase %0" : : "r"(percpu_offset[cpu]) : "memory");
	else if (host_syscall(SYS_arch_prctl, ARCH_SET_GS, percpu_offset[cpu], 0, 0))
		host_die("no GS base");
}

/* As deliver_now.c, but there is nothing interrupted to go on with another way. */
static void serve(int sig)
{
	struct regs r = { .rflags = RFLAGS_IF, .vector = NO_VECTOR };
	bool irqs_off = arch_irqs_disabled();

	if (sig == SIG_IRQ && irqs_off)
		return;
	arch_irq_disable();
	if (sig == SIG_IRQ)
		irq_serve(&r);
	else
		nmi_serve(&r);
	if (!irqs_off)
		arch_irq_enable();
}

void host_kill(unsigned int cpu, int sig)
{
	unsigned int me = smp_processor_id();

	if (cpu == me && !cpu) {
		host_syscall(SYS_tgkill, (u64)host_pid, (u64)host_cpus[0].tid, (u64)sig, 0);
		return;
	}
	become(cpu);
	serve(sig);
	become(me);
}

void on_cpu1(void (*fn)(void *), void *arg)
{
	become(1);
	fn(arg);
	become(0);
}

void cpu0_become(void)
{
	have_wrgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
	become(0);
	arch_irq_disable();
	host_cpus[0].tid = (int)host_syscall(SYS_gettid, 0, 0, 0, 0);
}

unsigned int arch_start_cpus(void)
{
	return arch_nr_cpus_found();
}

/* ---- stacks: only for backtraces, which the sanitizers give here ---- */

bool stack_is_guard(u64 p)
{
	(void)p;
	return false;
}

bool stack_contains(u64 p, u64 size)
{
	(void)p;
	(void)size;
	return false;
}
