/*
 * run_in.h - run a function in a chosen context of a chosen CPU: for bad ends on request
 * and for tests.
 */
#ifndef KERNEL_RUN_IN_H
#define KERNEL_RUN_IN_H

#include "kernel/context.h"

/* A fifth: a thread with interrupts off. Reports call it a thread. */
#define CTX_IRQS_OFF NR_CONTEXT
#define NR_PLACES (NR_CONTEXT + 1)
enum context context_of_place(enum context place);
/* By the words of arguments: thread, irq, nmi, debug, irqoff. False: none of them. */
bool place_of_name(const char *name, enum context *place);

/*
 * fn(arg) once in context ctx of that CPU; returns when it has run. CPU 0, thread
 * context; uses the NMI or trap hook. The CPU must take interrupts if that is the
 * context, and its thread be idle if it is to run there or in debug context.
 */
void run_in(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg);

/* try(place, cpu, arg) for each of the places (bits), on the first and the last CPU. It
 * is called here, to do there what it wants. */
#define ALL_PLACES 31u
void each_place(unsigned int places, void (*try)(enum context place, unsigned int cpu, void *arg), void *arg);

/*
 * The same, but it is only begun: for functions that do not return, and for calls from
 * this CPU's own interrupts, which may give their own CPU alone. The hooks stay.
 */
void run_in_begin(enum context ctx, unsigned int cpu, void (*fn)(void *), void *arg);

#endif
