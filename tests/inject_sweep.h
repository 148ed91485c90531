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
	u64 stride;           /* a long one: interrupted at one instruction in so many; 0: at all */
};

/* By debug exceptions, one a run, at each instruction; prints the figures. */
void sweep(const struct interrupted *c);
/* By NMIs of the local timer: at each instruction where a tick is one, else a sample. */
void sweep_nmi(const struct interrupted *c);

/* The nested calls: a set of all, and each alone. */
#define NR_NESTED 8
struct nested_call {
	const char *name;
	void (*fn)(void *);
};
extern const struct nested_call nested_calls[NR_NESTED];
/* Nested calls that failed, and calls made. */
extern u64 nested_failed, nested_made;

#endif
