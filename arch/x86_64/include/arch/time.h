/*
 * arch/time.h - the calibrated clock. Any context.
 */
#ifndef ARCH_TIME_H
#define ARCH_TIME_H

#include <anyctx/types.h>

u64 arch_tsc_hz(void);
/* Nanoseconds since boot; monotonic on a CPU. Works before calibration (then 0). */
u64 arch_ns(void);
/* Busy wait. */
void arch_udelay(u64 us);

#endif
