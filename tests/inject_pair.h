/*
 * inject_pair.h - two calls on two CPUs, in every order of their instructions that one
 * stop of each gives: CPU 0 stops in call A, CPU 1 makes the whole of call B; or CPU 1
 * stops as well, A goes on to its end, and then B does.
 *
 * A schedule is {A, B, i, j}: A stops before its instruction i, B before its j-th; j = 0
 * is the whole of B. It is written A:B:i:j, as the kernel argument replay= takes it. CPU 0,
 * thread context, between states_begin and states_end, with CPU 1 started (cpu1.h).
 */
#ifndef TESTS_INJECT_PAIR_H
#define TESTS_INJECT_PAIR_H

#include <anyctx/types.h>

/* The call that CPU 0 makes, with interrupts off. */
struct pair_a {
	const char *name;
	void (*state)(void);   /* makes it, from state_reset */
	void (*run)(void *);
	bool (*settle)(void);  /* what it returned is held; false: it has failed. NULL: nothing to do */
	unsigned int order;    /* for state and run, in pair_order */
	bool waits;            /* for CPU 1, which so cannot stop */
};

/* The call that CPU 1 makes, in its thread. */
struct pair_b {
	const char *name;
	void (*state)(void);   /* on CPU 0, behind A's; NULL: nothing to do */
	void (*run)(void);     /* CPU 1 keeps nothing behind it */
	bool (*settle)(void);  /* on CPU 0, when both have returned; NULL: nothing to do */
	bool waits;            /* for CPU 0: A goes on when it does, at the latest */
	bool disturbs;         /* sends an NMI that does something on CPU 0: sequences are sent back */
};

extern unsigned int pair_order;

struct schedule {
	u64 a, b, i, j;
};

struct pair_table {
	const char *test; /* for the line that repeats a schedule */
	const struct pair_a *as;
	const struct pair_b *bs;
	unsigned int nr_a, nr_b;
};

/* All pairs, or from the one on that resume= names, or the schedule of replay=; prints
 * pairs, schedules, failures, and for each failure the line that replays it. */
void pairs_sweep(const struct pair_table *t);
/* fn(arg) with the states there and CPU 1 waiting for calls; skipped where there is no
 * CPU 1, or no single step. */
void pairs_run(void (*fn)(const void *), const void *arg);
/* One schedule; false: failed, and told. *ran: A has come to its instruction i. */
bool schedule_run(const struct pair_table *t, const struct schedule *s, bool *ran);
/* How many instructions A has in a pair. */
u64 schedule_trace(const struct pair_table *t, u64 a, u64 b);
/* "A:B:i:j"; false: it is not one of the table. */
bool schedule_parse(const struct pair_table *t, const char *text, struct schedule *s);

#endif
