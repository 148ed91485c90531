/*
 * smp.c - a thread for each CPU.
 *
 * Invariant: a thread's GS base is percpu_offset[its CPU] from before it lets signals
 * in, for ever; what is published in host_cpus[] by the store to tid is constant from
 * then on. Starting: CPU 0, one after the other; questions: any context.
 */
#include <asm/prctl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>
#include "host.h"
#include "kernel/printk.h"

#define STACK_SIZE (1UL << 20)          /* a signal's frame takes up to 11 KiB */
#define HANDLER_STACK_SIZE (256UL << 10)

struct host_cpu host_cpus[NR_CPUS];
int host_pid;

static unsigned int online;
static void (*enter_kernel)(unsigned int cpu);

void host_kill(unsigned int cpu, int sig)
{
	host_syscall(SYS_tgkill, (u64)host_pid, (u64)host_cpus[cpu].tid, (u64)sig, 0);
}

static void handler_stack_set(const struct host_cpu *c)
{
	stack_t stack = { .ss_sp = (void *)c->handler_stack, .ss_size = HANDLER_STACK_SIZE };

	if (host_syscall(SYS_sigaltstack, (u64)&stack, 0, 0, 0))
		host_die("no stack for handlers");
}

static void *cpu_main(void *arg)
{
	unsigned int cpu = (unsigned int)(u64)arg;
	struct host_cpu *c = &host_cpus[cpu];

	if (host_syscall(SYS_arch_prctl, ARCH_SET_GS, percpu_offset[cpu], 0, 0))
		host_die("no GS base");
	arch_irq_disable();
	handler_stack_set(c);
	c->tid = (int)host_syscall(SYS_gettid, 0, 0, 0, 0);
	timers_create(cpu);
	signals_block(false);
	__atomic_store_n(&online, cpu + 1, __ATOMIC_RELEASE);
	enter_kernel(cpu);
	return NULL;
}

static u64 map_stack(u64 size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);

	return p == MAP_FAILED ? 0 : (u64)p;
}

static bool stacks_alloc(struct host_cpu *c)
{
	c->guard = map_stack(STACK_SIZE + PAGE_SIZE);
	c->handler_stack = map_stack(HANDLER_STACK_SIZE);
	if (!c->guard || !c->handler_stack || mprotect((void *)c->guard, PAGE_SIZE, PROT_NONE))
		return false;
	c->stack = c->guard + PAGE_SIZE;
	c->stack_end = c->stack + STACK_SIZE;
	return true;
}

bool cpu_start(unsigned int cpu, void (*enter)(unsigned int cpu))
{
	struct host_cpu *c = &host_cpus[cpu];
	pthread_attr_t attr;
	pthread_t thread;
	bool ok;

	enter_kernel = enter;
	if (!stacks_alloc(c) || pthread_attr_init(&attr))
		return false;
	ok = !pthread_attr_setstack(&attr, (void *)c->stack, STACK_SIZE) &&
	     !pthread_create(&thread, &attr, cpu_main, (void *)(u64)cpu);
	pthread_attr_destroy(&attr);
	while (ok && __atomic_load_n(&online, __ATOMIC_ACQUIRE) <= cpu)
		host_syscall(SYS_sched_yield, 0, 0, 0, 0);
	return ok;
}

unsigned int arch_start_cpus(void)
{
	unsigned int cpu = 1;

	while (cpu < arch_nr_cpus_found() && cpu_start(cpu, kernel_secondary))
		cpu++;
	if (cpu < arch_nr_cpus_found())
		printk("smp: no thread for CPU %u: going on with %u of %u CPUs\n", cpu, cpu,
		       arch_nr_cpus_found());
	return cpu;
}

/* ---- stacks ---- */

static bool within(u64 p, u64 size, u64 base, u64 end)
{
	return base && p >= base && size <= end - base && p <= end - size;
}

bool stack_is_guard(u64 p)
{
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		if (within(p, 1, host_cpus[cpu].guard, host_cpus[cpu].stack))
			return true;
	return false;
}

bool stack_contains(u64 p, u64 size)
{
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++) {
		const struct host_cpu *c = &host_cpus[cpu];

		if (within(p, size, c->stack, c->stack_end) ||
		    within(p, size, c->handler_stack, c->handler_stack + HANDLER_STACK_SIZE))
			return true;
	}
	return false;
}
