/*
 * entry_state.h - for the tests of the entry paths: run one trapping instruction
 * with known values in all registers, and look what is left of them.
 */
#ifndef TESTS_ENTRY_STATE_H
#define TESTS_ENTRY_STATE_H

#include <anyctx/types.h>

/* What traps, with interrupts off and every general register set. */
enum payload {
	PAYLOAD_INT3,  /* #BP */
	PAYLOAD_IRQ,   /* the way of a hardware interrupt: int $VEC_CALL */
	PAYLOAD_DEBUG, /* #DB before an instruction: a breakpoint on payload_debug_insn */
	PAYLOAD_WATCH, /* #DB after an instruction: a breakpoint on payload_watched */
	PAYLOAD_FAULT, /* #PF with a fixup */
	PAYLOAD_SPIN,  /* nothing: some instructions */
	NR_PAYLOAD,
};
extern const char *const payload_names[NR_PAYLOAD];
extern char payload_debug_insn[];
extern u64 payload_watched;
extern u64 payload_rsp[2]; /* the stack pointer before and after */
/* What PAYLOAD_FAULT reads. */
#define PAYLOAD_FAULT_ADDR 0xffffa00000123458UL

/* Run it. This CPU, thread context; not reentrant. */
void payload_run(enum payload p);
/* The number of registers, flags and other state that the last run has not kept
 * (RSP, GS base, DR7, the #DB stack, context); each is a failure of the test. */
unsigned int payload_check(enum payload p);

#endif
