/*
 * globals.c - global variables: the compiler leaves room behind each, and has a
 * constructor in each file that tells of them.
 *
 * Invariant: tables[] is written by CPU 0 while booting, and constant from then on.
 */
#include "kernel/panic.h"
#include "mm/kasan/private.h"

#define MAX_TABLES 512

/* As GCC lays it out (its asan.cc). */
struct asan_global {
	u64 start, size, size_with_redzone;
	const char *name, *module;
	u64 has_dynamic_init;
	const void *location;
	u64 odr_indicator;
};
static struct {
	const struct asan_global *first;
	u64 n;
} tables[MAX_TABLES];
static unsigned int nr_tables;

typedef void (*ctor_fn)(void);
extern const ctor_fn __start_ctors[], __stop_ctors[];

void __asan_register_globals(const struct asan_global *g, u64 n);
void __asan_unregister_globals(const struct asan_global *g, u64 n);

void __asan_register_globals(const struct asan_global *g, u64 n)
{
	BUG_ON(nr_tables == MAX_TABLES);
	tables[nr_tables].first = g;
	tables[nr_tables++].n = n;
	for (u64 i = 0; i < n; i++) {
		u64 end = (g[i].start + g[i].size + KASAN_GRANULE - 1) & ~(KASAN_GRANULE - 1);

		kasan_poison((void *)end, g[i].start + g[i].size_with_redzone - end, KASAN_GLOBAL);
		if (g[i].size % KASAN_GRANULE)
			*kasan_shadow(end - 1) = (u8)(g[i].size % KASAN_GRANULE);
	}
}

/* The kernel has no end at which this would be called. */
void __asan_unregister_globals(const struct asan_global *g, u64 n)
{
	(void)g;
	(void)n;
}

void kasan_globals_init(void)
{
	for (const ctor_fn *f = __start_ctors; f < __stop_ctors; f++)
		(*f)();
}

const char *kasan_global_at(u64 addr, u64 *start, u64 *size)
{
	for (unsigned int t = 0; t < nr_tables; t++)
		for (const struct asan_global *g = tables[t].first; g < tables[t].first + tables[t].n; g++)
			if (addr - g->start < g->size_with_redzone) {
				*start = g->start;
				*size = g->size;
				return g->name;
			}
	return NULL;
}
