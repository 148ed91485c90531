/*
 * crash_exception.c - the bad ends (crash=) that are exceptions of the CPU: each that a
 * kernel can meet, once. Any context (crash_context.c).
 */
#include <arch/cpu.h>
#include "kernel/crash.h"

#define NOT_CANONICAL 0x8000000000000000UL

static void crash_wild(void)
{
	*(volatile u64 *)0xffffa00000001000UL = 1;
}

static void crash_null(void)
{
	u64 *p = NULL;

	__asm__ volatile("movq (%0), %0" : "+r"(p));
}

/* Of this function's own code. */
static void crash_readonly(void)
{
	__asm__ volatile("movb $0, (%0)" : : "r"(crash_readonly) : "memory");
}

static u8 no_code[16];

static void crash_execute(void)
{
	__asm__ volatile("call *%0" : : "r"(no_code) : "memory");
}

static void crash_division(void)
{
	__asm__ volatile("xorl %%edx, %%edx; movl $1, %%eax; divl %%edx" : : : "rax", "rdx", "cc");
}

static void crash_opcode(void)
{
	__asm__ volatile("ud2");
}

static void crash_protection(void)
{
	__asm__ volatile("movb $0, (%0)" : : "r"(NOT_CANONICAL) : "memory");
}

static void crash_breakpoint(void)
{
	__asm__ volatile("int3; nop");
}

/* INT1: a debug exception without a cause in DR6. */
static void crash_debug(void)
{
	__asm__ volatile(".byte 0xf1; nop");
}

static void crash_overflow(void)
{
	__asm__ volatile("int $4; nop");
}

static const struct crash crashes[] = {
	{ "wild", crash_wild },             { "null", crash_null },             { "readonly", crash_readonly },
	{ "execute", crash_execute },       { "division", crash_division },     { "opcode", crash_opcode },
	{ "protection", crash_protection }, { "breakpoint", crash_breakpoint }, { "debugtrap", crash_debug },
	{ "overflow", crash_overflow },
};

crash_fn_t crash_exception(const char *how)
{
	return crash_find(crashes, ARRAY_SIZE(crashes), how);
}
