/*
 * context.h - in which context this CPU runs right now.
 *
 * The entry code counts on the way in and out, in a per-CPU word, with one
 * instruction each, so the answer is right at every instruction that C runs.
 */
#ifndef KERNEL_CONTEXT_H
#define KERNEL_CONTEXT_H

#include <anyctx/percpu.h>

enum context {
	CTX_THREAD,
	CTX_IRQ,   /* hard interrupt: timer or IPI */
	CTX_NMI,
	CTX_DEBUG, /* #DB or #BP */
	NR_CONTEXT,
};

/* Depth of each kind: bits 0-7 irq, 8-15 NMI, 16-23 debug. */
DECLARE_PER_CPU(u64, context_depth);
#define CTX_DEPTH_IRQ 0x1UL
#define CTX_DEPTH_NMI 0x100UL
#define CTX_DEPTH_DEBUG 0x10000UL
/* Innermost kind of context, kept by the entries (saved and restored). */
DECLARE_PER_CPU(u64, context_now);

static inline enum context current_context(void)
{
	return (enum context)this_cpu_read64(context_now);
}

static inline bool in_nmi(void)
{
	return this_cpu_read64(context_depth) & 0xff00;
}

static inline bool in_thread(void)
{
	return this_cpu_read64(context_depth) == 0;
}

const char *context_name(enum context c);

/* Of a call that is a thread's; and of one that waits for other CPUs, so interrupts have to
 * be on, as they may wait for this one. Else a panic that says so. */
void check_in_thread(const char *call);
void check_may_wait(const char *call);

/* Enter and leave: returns what to give back. Called by the trap code only. */
static inline u64 context_enter(enum context c, u64 depth)
{
	u64 was = this_cpu_read64(context_now);

	this_cpu_add64(context_depth, depth);
	this_cpu_write64(context_now, c);
	return was;
}

static inline void context_leave(u64 was, u64 depth)
{
	this_cpu_write64(context_now, was);
	this_cpu_add64(context_depth, -depth);
}

#endif
