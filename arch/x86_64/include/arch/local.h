/*
 * arch/local.h - changing data that only one CPU writes, without the bus lock,
 * in a way that nothing on that CPU can split: a single instruction, or a
 * restartable sequence.
 *
 * A restartable sequence is a few instructions that read, and as their last one
 * write: that one commits. The table in the section "rseq" tells where each
 * begins and ends. Whoever interrupts it in between (interrupt, NMI, debug
 * exception; see rseq_fixup) makes it go on at its `restart` label instead, as
 * it may have changed what was read. Nothing else may be in such a sequence: no
 * call, no access that faults.
 */
#ifndef ARCH_LOCAL_H
#define ARCH_LOCAL_H

#include <anyctx/percpu.h>

struct rseq_range {
	u64 start, end, restart; /* end: behind the commit */
};

/* *old is what was there; true: it was *old before, and is now `new`. */
static __always_inline bool this_cpu_cmpxchg64(u64 *var, u64 *old, u64 new)
{
	bool done;

	__asm__ volatile("cmpxchgq %3, %%gs:%1"
			 : "=@ccz"(done), "+m"(*var), "+a"(*old)
			 : "r"(new) : "memory");
	return done;
}

enum local_result {
	LOCAL_DONE,
	LOCAL_REFUSED, /* empty or full */
	LOCAL_RESTART, /* interrupted before the commit: nothing has happened */
};

/* The table's entry for the sequence between labels 1 and 2. */
#define RSEQ_ENTRY \
	".pushsection rseq, \"a\"\n\t" \
	".balign 8\n\t" \
	".quad 1b, 2b, %l[restart]\n\t" \
	".popsection\n\t"

/*
 * A stack of pointers whose per-CPU `top`, off bytes behind *var, points behind
 * its newest one. NULL below the oldest marks the bottom.
 */
static __always_inline enum local_result local_pop(void ***var, u64 off, void **out)
{
	void **top = NULL, *p = NULL; /* for checkers that do not read asm */

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"movq -8(%[top]), %[p]\n\t"
		"testq %[p], %[p]\n\t"
		"jz %l[refused]\n\t"
		"subq $8, %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top), [p] "=&r"(p)
		: [off] "r"(off), [var] "i"(var)
		: "memory", "cc" : refused, restart);
	*out = p;
	return LOCAL_DONE;
refused:
	return LOCAL_REFUSED;
restart:
	return LOCAL_RESTART;
}

/* The stack is full when top is a multiple of 2048. */
static __always_inline enum local_result local_push(void ***var, u64 off, void *p)
{
	void **top = NULL;

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"testl $2047, %k[top]\n\t"
		"jz %l[refused]\n\t"
		"movq %[p], (%[top])\n\t"
		"addq $8, %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top)
		: [off] "r"(off), [var] "i"(var), [p] "r"(p)
		: "memory", "cc" : refused, restart);
	return LOCAL_DONE;
refused:
	return LOCAL_REFUSED;
restart:
	return LOCAL_RESTART;
}

/*
 * If top is `from` and the word below `end` is NULL or made so, top becomes
 * `to`; refused otherwise. clear: make it so.
 */
static __always_inline enum local_result local_move(void ***var, u64 off, void **from, void **to,
						    void **end, bool clear)
{
	__asm__ goto volatile(
		"1:\n\t"
		"cmpq %[from], %%gs:%c[var](%[off])\n\t"
		"jne %l[refused]\n\t"
		"testb %[clear], %[clear]\n\t"
		"jz 3f\n\t"
		"movq $0, -8(%[end])\n"
		"3:\n\t"
		"cmpq $0, -8(%[end])\n\t"
		"jne %l[refused]\n\t"
		"movq %[to], %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		:
		: [off] "r"(off), [var] "i"(var), [from] "r"(from), [to] "r"(to), [end] "r"(end),
		  [clear] "r"(clear)
		: "memory", "cc" : refused, restart);
	return LOCAL_DONE;
refused:
	return LOCAL_REFUSED;
restart:
	return LOCAL_RESTART;
}

#endif
