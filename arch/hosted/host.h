/*
 * host.h - what the files of arch/hosted share: the threads that are CPUs, the
 * signals that are interrupts, and system calls that a handler may make.
 *
 * The C library is used while starting and ending only. What runs in a handler makes
 * system calls by itself, and so leaves errno alone and takes no lock of the library's.
 */
#ifndef HOST_H
#define HOST_H

#include <arch/irq.h>
#include <arch/machine.h>
#include <signal.h>
#include <sys/syscall.h>
#include <ucontext.h>
/* For span_*, rseq_fixup* and stack_contains: those parts are compiled from there. */
#include "arch/x86_64/private.h"

/* Standard signals, not real-time ones: of each at most one waits, as with an NMI's
 * latch, and sending one never fails for want of memory. Of two that wait the host
 * delivers the lower one first: the NMI, at the instruction that is really interrupted. */
#define SIG_NMI SIGUSR1
#define SIG_IRQ SIGUSR2

/* In irq_pending: bit n is IPI n, the one above them the tick. */
enum host_event { EV_TICK = NR_IPI, NR_EVENT };

enum host_timer { TIMER_TICK, TIMER_NMI, TIMER_NMI_ONCE, NR_TIMER };

struct host_cpu {
	int tid;                 /* 0: not started */
	int timers[NR_TIMER];    /* the kernel's names for them */
	u64 guard, stack, stack_end; /* a page that faults, and the stack above it */
	u64 handler_stack;       /* for faults, which a full stack may be the cause of */
};
extern struct host_cpu host_cpus[NR_CPUS];
extern int host_pid;

static inline long host_syscall(long n, u64 a, u64 b, u64 c, u64 d)
{
	register u64 r10 __asm__("r10") = d;
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
}

/* ---- main.c ---- */
/* Tell what is wrong with the start, and leave; before there is a kernel. */
void __noreturn host_die(const char *what);

/* ---- signal.c ---- */
void signals_install(void); /* for all threads, once */
/* Block or let in interrupts and NMIs on this thread. */
void signals_block(bool block);
/* Sleep until a signal comes, with none blocked. */
void signals_wait(void);
/* The same with interrupts blocked. */
void signals_wait_nmi(void);

/* The registers of what a handler interrupted, and back what hooks have changed. */
void regs_read(struct regs *r, const ucontext_t *uc, bool irqs_off);
void regs_write(const struct regs *r, ucontext_t *uc);

/* An NMI has come on top of a handler of interrupts, and has served: the sequence below
 * that one is to be ended. */
DECLARE_PER_CPU(u64, irq_frame_stale);

/* ---- step.c ---- */
/* A single step has ended; true: in what is not the kernel's, which it now goes over. */
bool step_over(ucontext_t *uc);
/* The kernel goes on, at uc, perhaps by steps. */
void step_go_on(const ucontext_t *uc);

/* ---- hwbreak.c ---- */
/* An int3: of the code; of a breakpoint, to be served; of one to be stepped over, as it is
 * not for NMIs; or of another CPU's, to be run into again. */
enum host_break { HOST_BREAK_NONE, HOST_BREAK_HIT, HOST_BREAK_STEP, HOST_BREAK_AGAIN };
enum host_break host_break_hit(ucontext_t *uc);
/* A hit has been served; uc goes on. */
void host_break_served(ucontext_t *uc);
/* Was that step the one that takes it over its instruction? */
bool host_break_stepped(ucontext_t *uc);

/* ---- deliver_now.c or deliver_later.c: in the handlers, and while waiting ---- */
void deliver_irq(ucontext_t *uc);
void deliver_nmi(ucontext_t *uc);
/* Is there something that no signal will come for? With signals blocked. */
bool deliver_waits(void);
/* May any instruction be a breakpoint? */
bool deliver_breakpoints(void);

/* ---- irq.c: into the kernel, with irq_off set ---- */
void irq_serve(struct regs *r);
void nmi_serve(struct regs *r);
void trap_serve(struct regs *r, bool step);
/* Put an event of this CPU where the next irq_serve finds it. */
void irq_post_here(enum host_event e);

/* ---- timer.c ---- */
/* The new thread makes its timers, stopped. */
void timers_create(unsigned int cpu);
void time_init(void);

/* ---- smp.c ---- */
/* Send a signal to the thread that is CPU cpu. Any context. */
void host_kill(unsigned int cpu, int sig);
/* Start CPU cpu on a thread of its own; it calls enter. false: no thread. */
bool cpu_start(unsigned int cpu, void (*enter)(unsigned int cpu));
/* Is p in the guard page of a CPU's stack? Any context. */
bool stack_is_guard(u64 p);

#endif
