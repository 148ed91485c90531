/*
 * check.c - the calls that the compiler puts before each access (GCC, -fsanitize=
 * kernel-address; the names are its own). They read the shadow and nothing else, so
 * they may be called at any instruction, in any context.
 *
 * Not before: entry code (assembler), restartable sequences and accesses by gs, which
 * are inline assembler, and string instructions, for which string.c checks.
 */
#include "mm/kasan/private.h"

/* The first shadow byte from `at` that is not 0, or end. */
static u8 *first_set(u8 *at, u8 *end)
{
	while (at < end && (u64)at % 8 && !*at)
		at++;
	while (end - at >= 8 && !((u64)at % 8) && !*(u64 *)at)
		at += 8;
	while (at < end && !*at)
		at++;
	return at;
}

u64 kasan_first_bad(u64 addr, size_t size)
{
	u64 end = addr + size, granule, bad;
	u8 *last = kasan_shadow(end - 1) + 1, *at;

	if (!size)
		return end;
	at = first_set(kasan_shadow(addr), last);
	if (at == last)
		return end;
	granule = ((u64)at - KASAN_SHADOW_OFFSET) << 3;
	bad = granule + (*at < KASAN_GRANULE ? *at : 0);
	return bad < addr ? addr : bad < end ? bad : end;
}

bool kasan_in_checks(u64 pc)
{
	extern const char __check_text_start[], __check_text_end[];

	return pc - (u64)__check_text_start < (u64)(__check_text_end - __check_text_start);
}

/* An access of up to 8 bytes touches one granule or two. */
static __always_inline bool small_ok(u64 addr, u64 size)
{
	u64 last = addr + size - 1;
	s8 v = *(const s8 *)kasan_shadow(last);

	if (unlikely(v && (s8)(last % KASAN_GRANULE) >= v))
		return false;
	return size == 1 || likely(addr >> 3 == last >> 3) || !*kasan_shadow(addr);
}

static __always_inline void check_small(u64 addr, u64 size, bool write)
{
	if (likely(region_of(addr)) && unlikely(!small_ok(addr, size)))
		kasan_report(addr, size, write, (u64)__builtin_return_address(0));
}

static __always_inline void check_range(u64 addr, u64 size, bool write)
{
	if (likely(region_of(addr)) && size && unlikely(kasan_first_bad(addr, size) != addr + size))
		kasan_report(addr, size, write, (u64)__builtin_return_address(0));
}

void __asan_load1_noabort(u64 addr);
void __asan_load2_noabort(u64 addr);
void __asan_load4_noabort(u64 addr);
void __asan_load8_noabort(u64 addr);
void __asan_load16_noabort(u64 addr);
void __asan_loadN_noabort(u64 addr, u64 size);
void __asan_store1_noabort(u64 addr);
void __asan_store2_noabort(u64 addr);
void __asan_store4_noabort(u64 addr);
void __asan_store8_noabort(u64 addr);
void __asan_store16_noabort(u64 addr);
void __asan_storeN_noabort(u64 addr, u64 size);
void __asan_handle_no_return(void);
void __asan_poison_stack_memory(const void *p, u64 size);
void __asan_unpoison_stack_memory(const void *p, u64 size);

void __asan_load1_noabort(u64 addr)
{
	check_small(addr, 1, false);
}

void __asan_load2_noabort(u64 addr)
{
	check_small(addr, 2, false);
}

void __asan_load4_noabort(u64 addr)
{
	check_small(addr, 4, false);
}

void __asan_load8_noabort(u64 addr)
{
	check_small(addr, 8, false);
}

void __asan_load16_noabort(u64 addr)
{
	check_range(addr, 16, false);
}

void __asan_loadN_noabort(u64 addr, u64 size)
{
	check_range(addr, size, false);
}

void __asan_store1_noabort(u64 addr)
{
	check_small(addr, 1, true);
}

void __asan_store2_noabort(u64 addr)
{
	check_small(addr, 2, true);
}

void __asan_store4_noabort(u64 addr)
{
	check_small(addr, 4, true);
}

void __asan_store8_noabort(u64 addr)
{
	check_small(addr, 8, true);
}

void __asan_store16_noabort(u64 addr)
{
	check_range(addr, 16, true);
}

void __asan_storeN_noabort(u64 addr, u64 size)
{
	check_range(addr, size, true);
}

/* Before a call that does not return, whose frames keep their redzones: nobody uses
 * that stack any more. */
void __asan_handle_no_return(void)
{
}

/* A variable's block ends, or begins. Its function owns that shadow; functions without
 * redzones (config/kasan.mk) do not call these. */
void __asan_poison_stack_memory(const void *p, u64 size)
{
	shadow_poison(p, size, KASAN_STACK_SCOPE);
}

void __asan_unpoison_stack_memory(const void *p, u64 size)
{
	shadow_unpoison(p, size);
}
