/*
 * unlocked.h - for CONFIG=up, before every other header: the assembler leaves the lock
 * prefix away. On the only CPU that runs an instruction is whole by itself: interrupts and
 * NMIs come between two of them, and the prefix keeps out nothing but other CPUs. (xchg
 * with memory locks without one, and stays as it is.)
 */
#ifndef __ASSEMBLER__
__asm__(".macro lock insn:vararg\n\t\\insn\n.endm");
#endif
