/*
 * kthread_step.h - a thread is disturbed behind one of the instructions of a call, wherever it
 * is by then. One thread at a time; between steps_begin and steps_end the trap hook is taken.
 */
#ifndef TESTS_KTHREAD_STEP_H
#define TESTS_KTHREAD_STEP_H

#include <anyctx/types.h>

void steps_begin(void);
void steps_end(void);
/* This thread calls fn(NULL); behind its n-th instruction, from 1, disturb() is called in debug
 * context, and the rest runs at full speed. False: it has not so many. */
bool disturbed_at(u64 n, void (*fn)(void *), void (*disturb)(void));

#endif
