/*
 * panic.h - the end, with a full report: CPU, context, registers, backtrace
 * with symbols, the allocator's state; the other CPUs are stopped by NMI.
 */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

#include <arch/cpu.h>

/* The registers told are the caller's, but for those that a call may change; or *r. */
void __noreturn panic(const char *fmt, ...) __printf(1, 2);
void __noreturn panic_regs(struct regs *r, const char *fmt, ...) __printf(2, 3);
/* The regular end: all lines out, then leave with status (arch/machine.h), unless
 * another CPU is in its panic. Thread context. */
void __noreturn kernel_exit(int status);
/* Print "symbol+0x12/0x80" for an address; any context. */
void print_symbol(char *buf, size_t size, u64 addr);
void print_backtrace(u64 pc, u64 rbp);
void print_regs(const struct regs *r);
/* The first thing in every NMI: does not return if another CPU has panicked;
 * true: this CPU is in its panic, the NMI is to do nothing. */
bool panic_nmi(struct regs *r);
/* From now on a panic may print the allocator's state. */
void panic_mm_is_up(void);

/* A broken invariant is a panic in every build. */
#define BUG_ON(c) do { \
	if (unlikely(c)) \
		panic("BUG at %s:%d: %s", __FILE__, __LINE__, #c); \
} while (0)

#endif
