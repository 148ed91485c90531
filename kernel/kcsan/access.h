/*
 * access.h - the look at each access, in the functions that the compiler calls.
 */
#ifndef KERNEL_KCSAN_ACCESS_H
#define KERNEL_KCSAN_ACCESS_H

#include "kernel/kcsan/internal.h"

static __always_inline void access_check(const volatile void *p, u64 size, u32 how)
{
	unsigned int slot = watch_slot((u64)p);

	for (unsigned int i = slot; i < slot + WATCH_TRIES; i++) {
		u64 w = __atomic_load_n(&watches[i], __ATOMIC_RELAXED);

		if (unlikely(watch_meets(w, (u64)p, size, how))) {
			watch_hit(i, w, p, size, how);
			return;
		}
	}
	if (how & ACCESS_MARKED)
		return;
	this_cpu_add64(kcsan_cpu.skip, -1);
	if (unlikely((s64)this_cpu_read64(kcsan_cpu.skip) < 0))
		watch_set(p, size, how);
}

#endif
