/*
 * backtrace.c - return addresses along the frame pointers (the kernel is built
 * with -fno-omit-frame-pointer; entry.asm links frames across interrupts).
 *
 * Nothing is believed: each frame must lie in mapped stack, and frames must rise
 * except where one stack continues on another. Any context.
 */
#include <arch/debug.h>
#include "private.h"

struct frame {
	u64 rbp, ret;
};

static bool plausible(u64 from, u64 to)
{
	if (to & 7 || !stack_contains(to, sizeof(struct frame)))
		return false;
	return to > from || from - to > KERNEL_STACK_SIZE; /* else a loop */
}

unsigned int arch_backtrace(u64 pc, u64 rbp, u64 *out, unsigned int max)
{
	unsigned int n = 0;
	u64 from = 0;

	if (pc && n < max)
		out[n++] = pc;
	while (n < max && plausible(from, rbp)) {
		const struct frame *f = (const void *)rbp;

		if (!f->ret)
			break;
		out[n++] = f->ret;
		from = rbp;
		rbp = f->rbp;
	}
	return n;
}
