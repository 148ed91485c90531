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

/*
 * Is n times the per-CPU word, off bytes behind *var, cut to 64 bits, below that word?
 * With a word of 2^64 / d: is n a multiple of d (mm/slab.c says for which n and d).
 */
static __always_inline bool this_cpu_multiple(const u64 *var, u64 off, u64 n)
{
	bool below;

	__asm__("imulq %%gs:%c[var](%[off]), %[n]\n\t"
		"cmpq %%gs:%c[var](%[off]), %[n]"
		: "=@ccb"(below), [n] "+&r"(n) : [off] "r"(off), [var] "i"(var) : "memory");
	return below;
}

/*
 * Behind each way out of a sequence. Without it GCC before 12.4 and 13.3 (its bug
 * 113921) may set the variables of a label's path before the sequence, in registers
 * that the sequence overwrites. No instruction.
 */
static __always_inline void after_sequence(void)
{
	__asm__ volatile("");
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
 * A stack of pointers whose per-CPU `top`, off bytes behind *var, points behind its
 * newest one. The pointer `bottom` (a constant; NULL will do) lies below the oldest.
 */
static __always_inline enum local_result local_pop(void ***var, u64 off, const void *bottom, void **out)
{
	void **top, *p;

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"movq -8(%[top]), %[p]\n\t"
		"cmpq %[bottom], %[p]\n\t"
		"je %l[refused]\n\t"
		"subq $8, %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top), [p] "=&r"(p)
		: [off] "r"(off), [var] "i"(var), [bottom] "i"(bottom)
		: "memory", "cc" : refused, restart);
	after_sequence();
	*out = p;
	return LOCAL_DONE;
refused:
	after_sequence();
	return LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

/* The same if what it points to has `mark` in bytes 4-7; refused if not. So it may
 * be the bottom that has not, if one can read there. */
static __always_inline enum local_result local_pop_marked(void ***var, u64 off, u32 mark, void **out)
{
	void **top, *p;

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"movq -8(%[top]), %[p]\n\t"
		"cmpl %[mark], 4(%[p])\n\t"
		"jne %l[refused]\n\t"
		"subq $8, %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top), [p] "=&a"(p) /* what its caller returns */
		: [off] "r"(off), [var] "i"(var), [mark] "i"(mark)
		: "memory", "cc" : refused, restart);
	after_sequence();
	*out = p;
	return LOCAL_DONE;
refused:
	after_sequence();
	return LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

/*
 * The first of a per-CPU list whose entries begin with a pointer to the next, NULL the
 * last, if the per-CPU word is w; both off bytes behind *list and *word.
 */
static __always_inline enum local_result local_list_pop(u64 *list, u64 *word, u64 off, u64 w, void **out)
{
	void *p, *next;

	__asm__ goto volatile(
		"1:\n\t"
		"cmpq %[w], %%gs:%c[word](%[off])\n\t"
		"jne %l[refused]\n\t"
		"movq %%gs:%c[list](%[off]), %[p]\n\t"
		"testq %[p], %[p]\n\t"
		"jz %l[refused]\n\t"
		"movq (%[p]), %[next]\n\t"
		"movq %[next], %%gs:%c[list](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [p] "=&r"(p), [next] "=&r"(next)
		: [off] "r"(off), [list] "i"(list), [word] "i"(word), [w] "r"(w)
		: "memory", "cc" : refused, restart);
	after_sequence();
	*out = p;
	return LOCAL_DONE;
refused:
	after_sequence();
	return LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

/* The stack is full when top is a multiple of this. */
#define LOCAL_STACK_BYTES 4096

static __always_inline enum local_result local_push(void ***var, u64 off, void *p)
{
	void **top;

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"testl %[full], %k[top]\n\t"
		"jz %l[refused]\n\t"
		"movq %[p], (%[top])\n\t"
		"addq $8, %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top)
		: [off] "r"(off), [var] "i"(var), [p] "r"(p), [full] "i"(LOCAL_STACK_BYTES - 1)
		: "memory", "cc" : refused, restart);
	after_sequence();
	return LOCAL_DONE;
refused:
	after_sequence();
	return LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

/*
 * Up to n pointers at once, n > 0, newest first: how many to *done. The copying
 * is part of the sequence, so n should be small.
 */
static __always_inline enum local_result local_pop_many(void ***var, u64 off, const void *bottom, void **out,
							u64 n, u64 *done)
{
	void **top, *p;
	u64 i;

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"xorl %k[i], %k[i]\n"
		"3:\n\t"
		"movq -8(%[top]), %[p]\n\t"
		"cmpq %[bottom], %[p]\n\t"
		"je 4f\n\t"
		"movq %[p], (%[out], %[i], 8)\n\t"
		"subq $8, %[top]\n\t"
		"incq %[i]\n\t"
		"cmpq %[n], %[i]\n\t"
		"jb 3b\n"
		"4:\n\t"
		"movq %[top], %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top), [p] "=&r"(p), [i] "=&r"(i)
		: [off] "r"(off), [var] "i"(var), [out] "r"(out), [n] "r"(n), [bottom] "i"(bottom)
		: "memory", "cc" : restart);
	after_sequence();
	*done = i;
	return i ? LOCAL_DONE : LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

static __always_inline enum local_result local_push_many(void ***var, u64 off, void *const *in, u64 n, u64 *done)
{
	void **top, *p;
	u64 i;

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"xorl %k[i], %k[i]\n"
		"3:\n\t"
		"testl %[full], %k[top]\n\t"
		"jz 4f\n\t"
		"movq (%[in], %[i], 8), %[p]\n\t"
		"movq %[p], (%[top])\n\t"
		"addq $8, %[top]\n\t"
		"incq %[i]\n\t"
		"cmpq %[n], %[i]\n\t"
		"jb 3b\n"
		"4:\n\t"
		"movq %[top], %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top), [p] "=&r"(p), [i] "=&r"(i)
		: [off] "r"(off), [var] "i"(var), [in] "r"(in), [n] "r"(n), [full] "i"(LOCAL_STACK_BYTES - 1)
		: "memory", "cc" : restart);
	after_sequence();
	*done = i;
	return i ? LOCAL_DONE : LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

/* One pointer to the slot `at` bytes from top, with its mark. */
#define PUSH_RUN_ONE(at) \
	"movq %[p], " at "(%[top])\n\t" \
	"movl %[mark], 4(%[p])\n\t" \
	"addq %[stride], %[p]\n\t"

/*
 * Up to n pointers, n > 0: first, first + stride, ..., and `mark` into bytes 4-7 of
 * what each points to: how many to *done. Eight at a time, then four, two, one: 3.4
 * instructions each.
 */
static __always_inline enum local_result local_push_run(void ***var, u64 off, void *first, u64 stride, u64 n,
							u32 mark, u64 *done)
{
	void **top, **end, **start, **some, *p;

	__asm__ goto volatile(
		"1:\n\t"
		"movq %%gs:%c[var](%[off]), %[top]\n\t"
		"movq %[top], %[start]\n\t"
		"movq %[top], %[end]\n\t"
		"negq %[end]\n\t"
		"andq %[full], %[end]\n\t" /* bytes to the end: the room there is */
		"jz %l[refused]\n\t"
		"cmpq %[bytes], %[end]\n\t"
		"cmovaq %[bytes], %[end]\n\t"
		"movq %[first], %[p]\n\t"
		"movq %[end], %[some]\n\t"
		"addq %[top], %[end]\n\t"
		"andq $-64, %[some]\n\t"
		"jz 5f\n\t"
		"addq %[top], %[some]\n"
		"3:\n\t"
		PUSH_RUN_ONE("0") PUSH_RUN_ONE("8") PUSH_RUN_ONE("16") PUSH_RUN_ONE("24")
		PUSH_RUN_ONE("32") PUSH_RUN_ONE("40") PUSH_RUN_ONE("48") PUSH_RUN_ONE("56")
		"addq $64, %[top]\n\t"
		"cmpq %[some], %[top]\n\t"
		"jb 3b\n"
		"5:\n\t"
		"movl %k[end], %k[some]\n\t"
		"subl %k[top], %k[some]\n\t" /* the bytes that are left */
		"testb $32, %b[some]\n\t"
		"jz 6f\n\t"
		PUSH_RUN_ONE("0") PUSH_RUN_ONE("8") PUSH_RUN_ONE("16") PUSH_RUN_ONE("24")
		"addq $32, %[top]\n"
		"6:\n\t"
		"testb $16, %b[some]\n\t"
		"jz 7f\n\t"
		PUSH_RUN_ONE("0") PUSH_RUN_ONE("8")
		"addq $16, %[top]\n"
		"7:\n\t"
		"testb $8, %b[some]\n\t"
		"jz 8f\n\t"
		PUSH_RUN_ONE("0")
		"8:\n\t"
		"movq %[end], %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		: [top] "=&r"(top), [p] "=&r"(p), [end] "=&r"(end), [start] "=&r"(start), [some] "=&r"(some)
		: [off] "r"(off), [var] "i"(var), [first] "r"(first), [stride] "r"(stride), [bytes] "r"(n * 8),
		  [mark] "i"(mark), [full] "i"(LOCAL_STACK_BYTES - 1)
		: "memory", "cc" : refused, restart);
	after_sequence();
	*done = (u64)(end - start);
	return LOCAL_DONE;
refused:
	after_sequence();
	return LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

/*
 * If top is `from` and the word below `end` is the bottom or made so, top becomes
 * `to`; refused otherwise. clear: make it so.
 */
static __always_inline enum local_result local_move(void ***var, u64 off, const void *bottom, void **from,
						    void **to, void **end, bool clear)
{
	__asm__ goto volatile(
		"1:\n\t"
		"cmpq %[from], %%gs:%c[var](%[off])\n\t"
		"jne %l[refused]\n\t"
		"testb %[clear], %[clear]\n\t"
		"jz 3f\n\t"
		"movq %[bottom], -8(%[end])\n"
		"3:\n\t"
		"cmpq %[bottom], -8(%[end])\n\t"
		"jne %l[refused]\n\t"
		"movq %[to], %%gs:%c[var](%[off])\n"
		"2:\n\t"
		RSEQ_ENTRY
		:
		: [off] "r"(off), [var] "i"(var), [from] "r"(from), [to] "r"(to), [end] "r"(end),
		  [clear] "r"(clear), [bottom] "i"(bottom)
		: "memory", "cc" : refused, restart);
	after_sequence();
	return LOCAL_DONE;
refused:
	after_sequence();
	return LOCAL_REFUSED;
restart:
	after_sequence();
	return LOCAL_RESTART;
}

#endif
