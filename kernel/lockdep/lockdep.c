/*
 * lockdep.c - what locks tell (include/anyctx/lockdep.h), passed on to the rules and
 * to the CPU's stack of what it holds.
 *
 * While this CPU tells a report nothing is watched on it: printing takes locks too.
 * What is taken meanwhile is given back before the report ends. Threads move, so each call
 * keeps its CPU; what a thread holds goes with it (lockdep_switch in held.c).
 */
#include <anyctx/preempt.h>
#include "internal.h"

const struct lock_site lock_interrupts = { .name = "interrupts of other CPUs" };
const struct lock_site lock_hooks = { .name = "hooks" };

static u64 frame(void *address)
{
	return (u64)address;
}

void lockdep_wait(const void *lock, const struct lock_site *site, enum lock_how how)
{
	struct lock_class *c;

	preempt_disable();
	c = report_possible() ? class_of(lock, site) : NULL;
	if (c)
		rules_wait(lock, c, how, frame(__builtin_frame_address(0)));
	preempt_enable();
}

void lockdep_taken(const void *lock, const struct lock_site *site, enum lock_how how)
{
	struct lock_class *c;

	preempt_disable();
	c = report_possible() ? class_of(lock, site) : NULL;
	if (c) {
		held_push(lock, c, how, frame(__builtin_frame_address(0)));
		rules_taken(c, how, frame(__builtin_frame_address(0)));
	}
	preempt_enable();
}

bool lockdep_release(const void *lock)
{
	bool was;

	preempt_disable();
	was = !report_possible() || held_drop(lock);
	if (!was)
		report_not_held(lock, frame(__builtin_frame_address(0)));
	preempt_enable();
	return was;
}

void lockdep_wait_code(const void *fn)
{
	struct lock_site site = { .by = fn };

	lockdep_wait(fn, &site, LOCK_SERVICE);
}

void lockdep_serve_code(const void *fn)
{
	struct lock_site site = { .by = fn };

	lockdep_taken(fn, &site, LOCK_SERVICE);
}

void lockdep_section(const char *name)
{
	struct lock_site site = { .name = name };

	lockdep_taken(name, &site, LOCK_SECTION);
}

u64 lockdep_mark(void)
{
	return held_count();
}

/* Each is reported once: it goes. */
void lockdep_ends(const char *what, u64 mark)
{
	preempt_disable();
	if (report_possible() && held_count() > mark)
		report_still_held(what, mark, frame(__builtin_frame_address(0)));
	preempt_enable();
}
