/*
 * trace.c - single-stepping that counts (trace.h).
 *
 * The debug exception after an instruction shows the next one, before it runs: that
 * one is decoded. If its operand is relative to its own end, that is known one step
 * later. The exception leaves restartable sequences alone, as it has not allocated.
 * What the caller does to choose and prepare the call is not counted: the stack pointer
 * tells.
 *
 * One trace at a time, CPU 0, thread context.
 */
#include "bench/trace.h"
#include "bench/bench.h"
#include "kernel/panic.h"
#include "lib/string.h"
#include "tests/step.h"
#include <arch/debug.h>
#include <arch/insn.h>

#define LINE 64UL
#define MAX_LINES 512
#define MAX_RIPS 4096 /* a power of two */
#define MAX_FUNCTIONS 128
#define PROFILE_ROWS 24
#define STACK_REACH 4096UL /* memory this near the stack pointer is stack */

volatile bool trace_gate;

struct line_set {
	unsigned int n;
	u64 line[MAX_LINES];
};
static struct line_set data, stack, code;

static struct {
	u64 rip, count;
} rips[MAX_RIPS];

static struct {
	char name[40];
	u64 count;
} functions[MAX_FUNCTIONS];
static unsigned int nr_functions;

static u64 insns, locked;
static struct arch_insn pending;
static u64 pending_rsp, pending_rip;
static u64 caller_rsp; /* 0: not within a traced call */

static void add_line(struct line_set *set, u64 addr)
{
	u64 line = addr / LINE;

	for (unsigned int i = 0; i < set->n; i++)
		if (set->line[i] == line)
			return;
	if (set->n < MAX_LINES)
		set->line[set->n++] = line;
}

static void count_rip(u64 rip)
{
	u64 i = (rip * 0x9e3779b97f4a7c15UL) >> 52;

	for (unsigned int tries = 0; tries < MAX_RIPS; tries++, i = (i + 1) % MAX_RIPS) {
		if (rips[i].rip && rips[i].rip != rip)
			continue;
		rips[i].rip = rip;
		rips[i].count++;
		return;
	}
}

/* The instruction that was looked at has run; next is where it led. */
static void settle(u64 next)
{
	u64 addr = pending.addr + (pending.relative ? next : 0);

	if (!pending_rip)
		return;
	insns++;
	locked += pending.locked;
	count_rip(pending_rip);
	add_line(&code, pending_rip);
	if (pending.stack)
		add_line(&stack, pending.stack_addr);
	if (pending.touches)
		add_line(addr - pending_rsp + STACK_REACH < 2 * STACK_REACH ? &stack : &data, addr);
	pending_rip = 0;
}

static void at(struct regs *r)
{
	arch_debug_undisturbed();
	settle(r->rip);
	if (!trace_gate) {
		caller_rsp = 0;
		return;
	}
	if (!caller_rsp)
		caller_rsp = r->rsp;
	arch_insn_look(r, &pending);
	if (r->rsp >= caller_rsp && !pending.stack)
		return; /* the caller's own, but for its call */
	pending_rip = r->rip;
	pending_rsp = r->rsp;
}

void trace_call(void (*fn)(void *), void *arg, struct trace *t)
{
	memset(rips, 0, sizeof(rips));
	data.n = stack.n = code.n = 0;
	insns = locked = pending_rip = caller_rsp = 0;
	trace_gate = false;
	step_through(fn, arg, at);
	*t = (struct trace){ insns, locked, data.n, stack.n, code.n };
}

/* ---------------------------------------------------------------- profile */

static void count_function(u64 rip, u64 count)
{
	char name[80], *plus;
	unsigned int i = 0;

	print_symbol(name, sizeof(name), rip);
	plus = strchr(name, '+');
	if (plus)
		*plus = 0;
	name[sizeof(functions[0].name) - 1] = 0;
	while (i < nr_functions && strcmp(functions[i].name, name))
		i++;
	if (i == MAX_FUNCTIONS)
		return;
	if (i == nr_functions) {
		memcpy(functions[i].name, name, strlen(name) + 1);
		functions[i].count = 0;
		nr_functions++;
	}
	functions[i].count += count;
}

void trace_keep_profile(void)
{
	nr_functions = 0;
	for (unsigned int i = 0; i < MAX_RIPS; i++)
		if (rips[i].rip)
			count_function(rips[i].rip, rips[i].count);
}

void trace_put_kept(const char *column, u64 n)
{
	for (unsigned int row = 0; row < PROFILE_ROWS; row++) {
		unsigned int best = 0;

		for (unsigned int i = 1; i < nr_functions; i++)
			if (functions[i].count > functions[best].count)
				best = i;
		if (!nr_functions || !functions[best].count)
			break;
		bench_put(functions[best].name, column, functions[best].count * BENCH_ONE / n);
		functions[best].count = 0;
	}
}

void trace_put_profile(const char *column, u64 n)
{
	trace_keep_profile();
	trace_put_kept(column, n);
}
