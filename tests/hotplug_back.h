/*
 * hotplug_back.h - a sender is held up while its target comes back (hotplug_back.c). CPU 0,
 * thread context; uses the trap hook.
 */
#ifndef TESTS_HOTPLUG_BACK_H
#define TESTS_HOTPLUG_BACK_H

#include <anyctx/types.h>

/* prepare: the target is online, about to go. send: on CPU 1, stopped at one of its steps. The
 * target is back: before_other; it has interrupts off: other, what CPU 0 sends; the sender
 * has taken what it takes, interrupts are on: check. */
struct back_way {
	void (*prepare)(void);
	void (*send)(void *);
	void (*before_other)(void);
	void (*other)(void);
	void (*check)(u64 at);
};

/* The CPU that goes and comes; 0: there is none, and the case is skipped: return. */
unsigned int back_target(void);
/* It is offline when the sender begins, and back at each of the sender's steps in turn. */
void back_at_each_step(const struct back_way *w);

#endif
