/*
 * rcu_reader.h - a reader that stays inside until it is told to end. One at a time; CPU 0,
 * thread context; uses a hook.
 */
#ifndef TESTS_RCU_READER_H
#define TESTS_RCU_READER_H

#include "kernel/run_in.h"

/* In that context of that CPU, which is not CPU 0; returns when it is inside. */
void reader_begin(enum context ctx, unsigned int cpu);
/* It may end, from any context; reader_end is still to come. */
void reader_let_go(void);
/* Returns when its context has ended, too. */
void reader_end(void);
/* Ask for long whether that grace period has ended, with interrupts as they are. */
bool reader_polled(u64 number);

#endif
