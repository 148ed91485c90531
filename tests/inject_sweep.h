/*
 * inject_sweep.h - one call of the allocator, in one state, interrupted at every
 * instruction by every nested call of a set; by debug exceptions or by NMIs.
 */
#ifndef TESTS_INJECT_SWEEP_H
#define TESTS_INJECT_SWEEP_H

#include <anyctx/types.h>

struct interrupted {
	void (*state)(void);  /* makes it, from state_reset */
	void (*run)(void *);  /* the call that is interrupted */
	bool (*settle)(void); /* what it returned is held; false: it has failed. NULL: nothing to do */
	bool in_nmi;          /* it is made in an NMI */
	bool elsewhere;       /* the nested calls are made on another CPU */
	bool waits;           /* the call waits for other CPUs */
	u64 stride;           /* interrupted at one instruction in so many; 0: as is usual */
	const char *label;    /* for the figures: tells apart what run does by arguments; or NULL */
};

/* By debug exceptions, one a run, at each instruction; prints the figures. */
void sweep(const struct interrupted *c);
/* By NMIs of the local timer, with the set of all nested calls: at each instruction
 * where a tick is one, else a sample. Ticks are off meanwhile. */
void sweep_nmi(const char *name, const struct interrupted *c);

/* One run: make the state, interrupts off; then, after the call, look at everything, and
 * interrupts on. false: something is wrong, and has been told; what: which nested calls. */
void point_begin(const struct interrupted *c);
bool point_end(const struct interrupted *c, const char *what, u64 at);

/* Failures of points are counted, and not told (tests of these tests). */
void points_quiet(bool quiet);

/* The nested calls: a set of all, and each alone. */
#define NR_NESTED 12
struct nested_call {
	const char *name;
	void (*fn)(void *);
};
extern const struct nested_call nested_calls[NR_NESTED];
/* Other ones; between states_begin and states_end. */
void sweep_with(const struct interrupted *c, const struct nested_call *calls, unsigned int nr_calls);
/* A nested call tells whether it got what it wanted. */
void nested_want(bool got);
extern u64 nested_failed, nested_made;

/* Two deep: at random instructions of the call a nested one, and at one of its
 * instructions a third, so many times; prints the figures and the seed. */
void sweep_deep(const struct interrupted *c, u64 samples);

/* The figures of a sweep: of one operation in one state. */
struct sweep_figures {
	u64 instructions, points, failed, ns;
	u64 deep, deep_failed;
};
/* They are added up by operation (inject_all.c), and those of a sweep are printed. */
void figures_add(const struct interrupted *c, const struct sweep_figures *f);

#endif
