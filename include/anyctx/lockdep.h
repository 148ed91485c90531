/*
 * lockdep.h - what locks, and all else that is waited for, tell the checker of their
 * order (CONFIG=lockdep, kernel/lockdep/). In other builds none of this is code.
 *
 * A lock says three things: that it will be waited for, before that begins; that it is
 * taken; that it is given back, while it still is held. What is waited for and is no
 * lock (other CPUs' interrupts, hooks, a thread's function) is a service: who waits
 * says so as of a lock, and it is "held" by who is at it. A section is code that may
 * be entered anywhere, as the allocator's long ways: nothing waits for it, but in it no
 * lock may be waited for.
 *
 * All calls: any context, any instruction; none waits, allocates or takes a lock.
 */
#ifndef ANYCTX_LOCKDEP_H
#define ANYCTX_LOCKDEP_H

#include <anyctx/config.h>
#include <anyctx/types.h>

/*
 * What class a lock is of: name, or `by`, an address in the code, or if both are NULL
 * the lock itself. All locks of a class are to be taken by the same rules.
 */
#if CONFIG_LOCKDEP
struct lock_site {
	const char *name;
	const void *by;
};
#define LOCK_LINE_TEXT(n) #n
#define LOCK_LINE(n) LOCK_LINE_TEXT(n)
/* Of locks that are initialized at this line. */
#define LOCK_SITE_INIT { .name = __FILE__ ":" LOCK_LINE(__LINE__) }
#else
struct lock_site { };
#define LOCK_SITE_INIT { }
#endif

enum lock_how {
	LOCK_WAITED,  /* a lock that is waited for until it is free */
	LOCK_TRIED,   /* a lock that was free */
	LOCK_SLEPT,   /* a mutex: threads sleep until it is free */
	LOCK_LOCAL,   /* a CPU's own lock, that has to be free: nobody waits for it */
	LOCK_SERVICE, /* not a lock: others wait until it is done */
	LOCK_SECTION, /* not a lock: nobody waits for it */
};

void lockdep_wait(const void *lock, const struct lock_site *site, enum lock_how how);
void lockdep_taken(const void *lock, const struct lock_site *site, enum lock_how how);
bool lockdep_release(const void *lock);
void lockdep_wait_code(const void *fn);
void lockdep_serve_code(const void *fn);
void lockdep_section(const char *name);
u64 lockdep_mark(void);
void lockdep_ends(const char *what, u64 mark);
void lockdep_switch(void *from, void *to);

/* What a thread holds while another runs on the CPU. */
#define LOCKDEP_THREAD_BYTES (CONFIG_LOCKDEP ? 784 : 0)

/* Services: other CPUs' interrupts, for cross calls and irq_work; the functions of hooks.h. */
extern const struct lock_site lock_interrupts, lock_hooks;

/* ---- locks */

/* It will be waited for. */
static __always_inline void lock_wait(const void *lock, const struct lock_site *site)
{
	if (CONFIG_LOCKDEP)
		lockdep_wait(lock, site, LOCK_WAITED);
}

/* A mutex will be slept for, if it is held. */
static __always_inline void lock_wait_sleeping(const void *lock, const struct lock_site *site)
{
	if (CONFIG_LOCKDEP)
		lockdep_wait(lock, site, LOCK_SLEPT);
}

/* It is taken: with interrupts as they will be while it is held. */
static __always_inline void lock_taken(const void *lock, const struct lock_site *site, enum lock_how how)
{
	if (CONFIG_LOCKDEP)
		lockdep_taken(lock, site, how);
}

/* The same of a local lock: the variable's own address, which is its class. It will have to be free. */
static __always_inline void lock_wait_local(const void *lock)
{
	if (CONFIG_LOCKDEP)
		lockdep_wait(lock, &(const struct lock_site){ }, LOCK_LOCAL);
}

static __always_inline void lock_taken_local(const void *lock)
{
	if (CONFIG_LOCKDEP)
		lockdep_taken(lock, &(const struct lock_site){ }, LOCK_LOCAL);
}

/* Before it is given back, by the CPU that took it. False: it is not held, which was
 * reported; the call is to have no effect. */
static __always_inline bool lock_release(const void *lock)
{
	return CONFIG_LOCKDEP ? lockdep_release(lock) : true;
}

/* ---- services: waiting for one, and being at it until lock_done */

static __always_inline void lock_wait_service(const struct lock_site *site)
{
	if (CONFIG_LOCKDEP)
		lockdep_wait(site, site, LOCK_SERVICE);
}

static __always_inline void lock_serve(const struct lock_site *site)
{
	if (CONFIG_LOCKDEP)
		lockdep_taken(site, site, LOCK_SERVICE);
}

/* The same of a function that a CPU's thread runs. */
static __always_inline void lock_wait_thread(const void *fn)
{
	if (CONFIG_LOCKDEP)
		lockdep_wait_code(fn);
}

static __always_inline void lock_serve_thread(const void *fn)
{
	if (CONFIG_LOCKDEP)
		lockdep_serve_code(fn);
}

/* ---- sections, each with a name that stays where it is, until lock_done(name) */

static __always_inline void lock_section(const char *name)
{
	if (CONFIG_LOCKDEP)
		lockdep_section(name);
}

static __always_inline void lock_done(const void *service_or_name)
{
	if (CONFIG_LOCKDEP)
		lockdep_release(service_or_name);
}

/* ---- all of them */

/* How much is held by what is interrupted here, for lock_ends. */
static __always_inline u64 lock_mark(void)
{
	return CONFIG_LOCKDEP ? lockdep_mark() : 0;
}

/* `what` ends, that began at mark: nothing that it took is to be held any more. */
static __always_inline void lock_ends(const char *what, u64 mark)
{
	if (CONFIG_LOCKDEP)
		lockdep_ends(what, mark);
}

/* This CPU is about to run another thread: from, to: LOCKDEP_THREAD_BYTES of each, at first
 * all zero. Interrupts off, in a thread. */
static __always_inline void lock_switch(void *from, void *to)
{
	if (CONFIG_LOCKDEP)
		lockdep_switch(from, to);
}

#endif
