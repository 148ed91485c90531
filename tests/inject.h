/*
 * inject.h - run a function and, between two of its instructions, another one, in debug
 * context. CPU 0, thread context, one at a time; uses the trap hook, and the NMI hook
 * if the interrupted function is to run in an NMI.
 *
 * Both run with interrupts off. Where the machine has breakpoints for instructions, one
 * of them stops the function: it runs once with a step after each instruction, which is
 * written down, and then once for each of these places, at full speed up to there.
 * Elsewhere it is stepped up to there, and sweeps leave places out if it is long. A
 * case asks step_possible first.
 */
#ifndef TESTS_INJECT_H
#define TESTS_INJECT_H

#include "tests/step.h"

struct injection {
	void (*fn)(void *); /* the one interrupted; from the same state it goes the same way */
	void *arg;
	void (*nested)(void *);
	void *narg;
	bool in_nmi;    /* fn runs in an NMI */
	bool elsewhere; /* nested does nothing on this CPU: sequences are not sent back */
	bool waits;     /* for other CPUs, which run the same code meanwhile */
	void (*third)(void *); /* NULL; or what interrupts nested, before its third_at-th of mm/ */
	u64 third_at;
};

/* fn runs uninterrupted; returns how many places there are for inject_run. */
u64 inject_trace(const struct injection *x);
/* fn runs with nested(narg) before its instruction number `at`, from 1. false: it has
 * not come there, and has run uninterrupted. */
bool inject_run(const struct injection *x, u64 at);
/* The same without inject_trace, by steps. */
bool inject_step(const struct injection *x, u64 at);
/* May so many of the points of a sweep have been missed? A tenth of a sample, as a
 * sanitizer's runtime goes other ways from the same state; none if all are wanted. */
bool inject_few(u64 missed, u64 points);
/* A sweep over n places takes one in so many: 1 with breakpoints, or if all are wanted. */
u64 inject_stride(const struct injection *x, u64 n);
extern s64 inject_deep; /* kernel argument: points two deep in each sweep */
extern s64 inject_seed; /* kernel argument: of all samples */
extern s64 inject_full; /* kernel argument: all places, however long it takes */
/* Of the last run with a third: how many instructions of mm/ nested had; did third run? */
extern u64 inject_nested_length;
extern bool inject_third_ran;
/* What the steps of other CPUs call meanwhile. */
extern void (*inject_other_cpu)(struct regs *r);
/* Where nested ran the last time. */
extern u64 injected_rip;

#endif
