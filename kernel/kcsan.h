/*
 * kcsan.h - what others ask of the race detector (CONFIG=kcsan, kernel/kcsan/).
 */
#ifndef KERNEL_KCSAN_H
#define KERNEL_KCSAN_H

#include <anyctx/config.h>
#include <anyctx/types.h>

/* linker.ld: the detector's code, which watched code calls all the time. */
extern char __kcsan_text_start[], __kcsan_text_end[];

/* Is it the detector's? Any context. */
static inline bool kcsan_in_text(u64 pc)
{
	return CONFIG_KCSAN && pc - (u64)__kcsan_text_start < (u64)(__kcsan_text_end - __kcsan_text_start);
}

#endif
