/*
 * crash.h - bad ends on request.
 */
#ifndef KERNEL_CRASH_H
#define KERNEL_CRASH_H

#include <anyctx/types.h>

/* Do what crash= and lockup= ask for. true: nothing was asked; false: it could
 * not be done, or was survived. CPU 0, thread context, after boot. */
bool crash_if_asked(void);
/* The part of lockup= (crash_lockup.c). */
bool lockup_if_asked(void);

typedef void (*crash_fn_t)(void);

/* fn in the context of the CPU, and with the CPU offline, that crash_in=, crash_cpu=,
 * crash_inside= and crash_offline= ask for (crash_context.c). */
void crash_in_context(crash_fn_t fn);

struct crash {
	const char *name;
	crash_fn_t run;
};
/* The one of that name; NULL: it is none of them. */
crash_fn_t crash_find(const struct crash *list, unsigned int n, const char *how);
/* The same among the exceptions, and those that want threads (crash_thread.c). */
crash_fn_t crash_exception(const char *how);
crash_fn_t crash_of_threads(const char *how);

#endif
