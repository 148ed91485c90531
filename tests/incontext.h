/*
 * incontext.h - run a function in a chosen context of a chosen CPU.
 */
#ifndef TESTS_INCONTEXT_H
#define TESTS_INCONTEXT_H

#include "kernel/context.h"

/*
 * fn(arg) once in context ctx of that CPU; returns when it has run. CPU 0, thread
 * context; uses the NMI or trap hook. The CPU must take interrupts if that is the
 * context, and its thread be idle if it is to run there or in debug context.
 */
void run_in(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg);

#endif
