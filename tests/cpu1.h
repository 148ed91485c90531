/*
 * cpu1.h - calls on CPU 1 in the middle of something on CPU 0, which waits for them.
 * CPU 0, any context; start and stop: thread context. Without a CPU 1 nothing happens.
 */
#ifndef TESTS_CPU1_H
#define TESTS_CPU1_H

#include <anyctx/types.h>

/* Its thread waits for calls, at full speed; and is idle again. */
void cpu1_start(void);
void cpu1_stop(void);
/* fn() there, in thread context; returns when it has. */
void on_cpu1(void (*fn)(void));
/* The same in parts: begin, and go on; has it returned? wait until it has. One at a time. */
void cpu1_begin(void (*fn)(void));
bool cpu1_done(void);
void cpu1_wait(void);

/* name() as calls that may be nested in another: name_here on this CPU, name_there on CPU 1. */
#define HERE_AND_THERE(name) \
	static void name##_here(void *unused) \
	{ \
		(void)unused; \
		name(); \
	} \
	static void name##_there(void *unused) \
	{ \
		(void)unused; \
		on_cpu1(name); \
	}

#endif
