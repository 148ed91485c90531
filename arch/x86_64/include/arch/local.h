/*
 * arch/local.h - compare and swap on this CPU's copy of a per-CPU word, without
 * the bus lock: one instruction, so nothing on this CPU can split it. The word
 * may be written by this CPU only.
 */
#ifndef ARCH_LOCAL_H
#define ARCH_LOCAL_H

#include <anyctx/percpu.h>

/* *old is what was there; true: it was *old before, and is now `new`. */
static __always_inline bool this_cpu_cmpxchg64(u64 *var, u64 *old, u64 new)
{
	bool done;

	__asm__ volatile("cmpxchgq %3, %%gs:%1"
			 : "=@ccz"(done), "+m"(*var), "+a"(*old)
			 : "r"(new) : "memory");
	return done;
}

#endif
