/*
 * hooks.h - where tests and the main job get hold of interrupts.
 *
 * A hook is one pointer: setting it is one store, a handler that runs already
 * may still be in the old one; hook_sync() waits until none is, on any CPU.
 */
#ifndef KERNEL_HOOKS_H
#define KERNEL_HOOKS_H

#include <arch/cpu.h>

typedef void (*irq_hook_t)(struct regs *r);
typedef bool (*trap_hook_t)(struct regs *r, u64 dr6);

void set_tick_hook(irq_hook_t fn); /* called in every timer interrupt */
void set_nmi_hook(irq_hook_t fn);  /* called in every NMI */
void set_trap_hook(trap_hook_t fn); /* #DB and #BP; true: handled */
/* Thread context: after it, no CPU is in an old hook. */
void hook_sync(void);

/* Run fn(arg) in thread context on CPU cpu (its idle loop takes it up); other
 * CPUs only, online. Returns at once; cpu_thread_wait waits until it has returned. */
void cpu_thread_run(unsigned int cpu, void (*fn)(void *), void *arg);
void cpu_thread_wait(unsigned int cpu);
/* Has it, and nothing else runs there? */
bool cpu_thread_idle(unsigned int cpu);
/* fn(arg) in thread context on all CPUs online, with this one; returns when all have. */
void on_each_cpu_thread(void (*fn)(void *), void *arg);

#endif
