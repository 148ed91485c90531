/*
 * trace.h - single-step through calls of the allocator, and count what they do.
 */
#ifndef BENCH_TRACE_H
#define BENCH_TRACE_H

#include <anyctx/types.h>

struct trace {
	u64 insns, locked;
	u64 data_lines, stack_lines, code_lines; /* distinct lines of 64 bytes */
};

/* fn(arg) has trace_on before each call that is to be counted and trace_off behind it; counted
 * are the call instruction and all it leads to. */
void trace_call(void (*fn)(void *), void *arg, struct trace *t);

/* For trace_on and trace_off only. */
extern volatile bool trace_gate;

static __always_inline void trace_on(void)
{
	trace_gate = true;
}

static __always_inline void trace_off(void)
{
	trace_gate = false;
}

/*
 * The instructions of the last trace_call by function, the largest share first, as
 * figures of the case that runs: hundredths of an instruction for each of n operations.
 */
void trace_put_profile(const char *column, u64 n);

/* The same in two steps, with other traces between them. */
void trace_keep_profile(void);
void trace_put_kept(const char *column, u64 n);

#endif
