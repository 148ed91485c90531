/*
 * exact.h - does one tick of the clock pass for each instruction of all CPUs together,
 * as under an emulator that counts them? Then the local timer stops code where one
 * likes, and a run repeats exactly. Thread context, any CPU.
 */
#ifndef TESTS_EXACT_H
#define TESTS_EXACT_H

#include <arch/cpu.h>

static inline bool clock_is_exact(void)
{
	u64 seen[3], flags = arch_irq_save();

	for (unsigned int i = 0; i < 3; i++) {
		u64 t = arch_rdtsc();

		__asm__ volatile(".rept 1000\n\tnop\n\t.endr");
		seen[i] = arch_rdtsc() - t;
	}
	arch_irq_restore(flags);
	return seen[0] == seen[1] && seen[1] == seen[2] && seen[0] < 1100;
}

#endif
