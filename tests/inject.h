/*
 * inject.h - run a function and, between two of its instructions, something else: in
 * debug context (a single step) or in an NMI. CPU 0, thread context, one at a time.
 * A case asks step_possible first.
 */
#ifndef TESTS_INJECT_H
#define TESTS_INJECT_H

#include "tests/step.h"

/*
 * Call fn(arg), stepping; nested(narg) after its instruction number `at` (from 1) and
 * every `every` instructions from there on (0: once, and the rest is not stepped).
 * Returns how many steps there were. Interrupt handlers are not stepped through.
 */
u64 inject_at(void (*fn)(void *), void *arg, u64 at, u64 every, void (*nested)(void *), void *narg);

/* After inject_at: how often nested ran, and where the last time. */
extern u64 injected, injected_rip;

#endif
