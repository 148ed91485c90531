/*
 * cpu1.c - calls handed over to CPU 1 (cpu1.h): `turn` is CPU 0's at 0, CPU 1's at 1.
 */
#include "tests/cpu1.h"
#include <anyctx/smp.h>
#include <arch/cpu.h>
#include "kernel/hooks.h"

static struct {
	void (*fn)(void); /* NULL: the end */
	u32 turn;
} call;

/* At full speed for a while, as the other one is as good as done; if it does not run at
 * all, so that it can. */
static void wait_turn(u32 turn)
{
	for (unsigned int n = 0; __atomic_load_n(&call.turn, __ATOMIC_ACQUIRE) != turn; n++)
		if (n > 1000)
			cpu_relax();
}

static void serve_calls(void *unused)
{
	void (*fn)(void);

	(void)unused;
	do {
		wait_turn(1);
		fn = call.fn;
		if (fn)
			fn();
		__atomic_store_n(&call.turn, 0, __ATOMIC_RELEASE);
	} while (fn);
}

void cpu1_begin(void (*fn)(void))
{
	call.fn = fn;
	__atomic_store_n(&call.turn, 1, __ATOMIC_RELEASE);
}

bool cpu1_done(void)
{
	return !__atomic_load_n(&call.turn, __ATOMIC_ACQUIRE);
}

void cpu1_wait(void)
{
	wait_turn(0);
}

void on_cpu1(void (*fn)(void))
{
	if (num_online_cpus() < 2)
		return;
	cpu1_begin(fn);
	cpu1_wait();
}

void cpu1_start(void)
{
	if (num_online_cpus() > 1)
		cpu_thread_run(1, serve_calls, NULL);
}

void cpu1_stop(void)
{
	on_cpu1(NULL);
	if (num_online_cpus() > 1)
		cpu_thread_wait(1);
}
