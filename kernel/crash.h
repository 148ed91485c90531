/*
 * crash.h - bad ends on request.
 */
#ifndef KERNEL_CRASH_H
#define KERNEL_CRASH_H

#include <anyctx/types.h>

/* Do what crash= and lockup= ask for. true: nothing was asked; false: it could
 * not be done, or was survived. CPU 0, thread context, after boot. */
bool crash_if_asked(void);

/* fn in the context, and with the CPU offline, that crash_in=, crash_inside= and
 * crash_offline= ask for (crash_context.c). */
void crash_in_context(void (*fn)(void));

/* The bad ends that want threads (crash_thread.c); false: it is none of them. */
bool crash_in_thread(const char *how);

#endif
