/*
 * tsan.c - what ThreadSanitizer is told about this code; compiled for it only.
 *
 * READ_ONCE and WRITE_ONCE are accesses that may race with each other: relaxed atomic
 * ones. The compiler calls the functions below before each volatile access
 * (tsan-distinguish-volatile), and they say so by an atomic access of no effect to the
 * same place. A plain access that races with one is reported all the same.
 */
#include "host.h"

#define RELAXED 0

u8 __tsan_atomic8_load(const volatile u8 *p, int order);
u16 __tsan_atomic16_load(const volatile u16 *p, int order);
u32 __tsan_atomic32_load(const volatile u32 *p, int order);
u64 __tsan_atomic64_load(const volatile u64 *p, int order);
u8 __tsan_atomic8_fetch_add(volatile u8 *p, u8 v, int order);
u16 __tsan_atomic16_fetch_add(volatile u16 *p, u16 v, int order);
u32 __tsan_atomic32_fetch_add(volatile u32 *p, u32 v, int order);
u64 __tsan_atomic64_fetch_add(volatile u64 *p, u64 v, int order);

void __tsan_volatile_read1(void *p);
void __tsan_volatile_read2(void *p);
void __tsan_volatile_read4(void *p);
void __tsan_volatile_read8(void *p);
void __tsan_volatile_write1(void *p);
void __tsan_volatile_write2(void *p);
void __tsan_volatile_write4(void *p);
void __tsan_volatile_write8(void *p);
const char *__tsan_default_options(void);

void __tsan_volatile_read1(void *p)
{
	__tsan_atomic8_load(p, RELAXED);
}

void __tsan_volatile_read2(void *p)
{
	__tsan_atomic16_load(p, RELAXED);
}

void __tsan_volatile_read4(void *p)
{
	__tsan_atomic32_load(p, RELAXED);
}

void __tsan_volatile_read8(void *p)
{
	__tsan_atomic64_load(p, RELAXED);
}

void __tsan_volatile_write1(void *p)
{
	__tsan_atomic8_fetch_add(p, 0, RELAXED);
}

void __tsan_volatile_write2(void *p)
{
	__tsan_atomic16_fetch_add(p, 0, RELAXED);
}

void __tsan_volatile_write4(void *p)
{
	__tsan_atomic32_fetch_add(p, 0, RELAXED);
}

void __tsan_volatile_write8(void *p)
{
	__tsan_atomic64_fetch_add(p, 0, RELAXED);
}

/* The first report ends the run, as everywhere. */
const char *__tsan_default_options(void)
{
	return "halt_on_error=1:exitcode=1";
}
