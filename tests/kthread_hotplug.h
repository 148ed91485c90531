/*
 * kthread_hotplug.h - what the tests of threads on a CPU that goes share: threads that park
 * there, and waits that give up. CPU 0, thread context.
 */
#ifndef TESTS_KTHREAD_HOTPLUG_H
#define TESTS_KTHREAD_HOTPLUG_H

#include <arch/cpu.h>
#include "kernel/task.h"

/* A thread that counts how often it was woken, and notes where it ran then. */
struct sleeper {
	struct task *task;
	u64 runs;
	u32 ran_on;
};

/* fn(arg) begins on that CPU, at that priority, and may be anywhere. */
struct task *begin_on(unsigned int cpu, unsigned int prio, int (*fn)(void *), void *arg, const char *name);
/* Until it is that much; false: it does not come to be. */
bool wait_count(const u64 *count, u64 n);

bool sleeper_begin(struct sleeper *s, unsigned int prio);
void sleeper_end(struct sleeper *s);
/* It is parked on that CPU, which runs no thread, and may be anywhere. */
void sleeper_park_on(struct sleeper *s, unsigned int cpu);

/* A breakpoint of that CPU; the trap hook gets it. */
void break_on(unsigned int cpu, const void *fn);
/* Can there be one? If not, the case is skipped: return. */
bool break_possible(void);
/* Is that where a CPU that is offline sleeps? */
bool at_park(u64 rip);

#endif
