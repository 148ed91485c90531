/*
 * exact.h - does one tick of the clock pass for each instruction of all CPUs together,
 * as under an emulator that counts them? Then the local timer stops code where one
 * likes, and a run repeats exactly. Thread context, any CPU.
 */
#ifndef KERNEL_EXACT_H
#define KERNEL_EXACT_H

#include <arch/cpu.h>

#define EXACT_PAIRS 8
#define EXACT_SHORT 1000 /* instructions */
#define EXACT_LONG  3000
#define EXACT_SLACK 16 /* the compiler's own between two readings; the same each time */

/*
 * Two lengths, so that only a clock that counts instructions gives their difference; a
 * coarse clock of a fast host may well show the same time for the same code, often.
 */
static inline bool clock_is_exact(void)
{
	unsigned long flags = arch_irq_save();
	u64 first = 0;
	bool exact = true;

	for (unsigned int i = 0; i < EXACT_PAIRS; i++) {
		u64 t0 = arch_rdtsc(), t1, t2, longer;

		__asm__ volatile(".rept %c0\n\tnop\n\t.endr" : : "i"(EXACT_SHORT));
		t1 = arch_rdtsc();
		__asm__ volatile(".rept %c0\n\tnop\n\t.endr" : : "i"(EXACT_LONG));
		t2 = arch_rdtsc();
		longer = (t2 - t1) - (t1 - t0);
		if (!i)
			first = longer;
		exact &= longer == first && longer - (EXACT_LONG - EXACT_SHORT) + EXACT_SLACK <= 2 * EXACT_SLACK;
	}
	arch_irq_restore(flags);
	return exact;
}

#endif
