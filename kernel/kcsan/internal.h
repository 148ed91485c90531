/*
 * internal.h - the inside of the race detector: accesses as the compiler tells them
 * (access.c, atomic.c), watchpoints (watch.c), reports (report.c).
 * docs/design-kcsan.md has the invariants.
 *
 * All functions: any context, any instruction. Nothing here is watched itself.
 */
#ifndef KERNEL_KCSAN_INTERNAL_H
#define KERNEL_KCSAN_INTERNAL_H

#include <anyctx/percpu.h>
#include "kernel/context.h"

/* How something is accessed. Marked: by READ_ONCE, WRITE_ONCE, or atomically. */
#define ACCESS_WRITE 1u
#define ACCESS_MARKED 2u

#define ACCESS_FRAMES 8
struct access {
	u64 addr, size;
	u32 how;
	u16 cpu, n;
	u32 ctx;
	u64 at[ACCESS_FRAMES];
};
void access_take(struct access *a, const volatile void *p, u64 size, u32 how, u64 rbp);

/*
 * A watchpoint is one word: 0, or an access that is being watched, or one of the states
 * of watch.c. Bits 0-47 address, 48-55 size, 56-61 CPU, 62 set, 63 write.
 */
#define NR_WATCH 64
#define WATCH_TRIES 3 /* slots from that of the page on */
extern u64 watches[NR_WATCH + WATCH_TRIES];
#define WATCH_SET (1UL << 62)
#define WATCH_WRITE (1UL << 63)
#define WATCH_ADDR ((1UL << 48) - 1)
#define WATCH_SIZE_MAX 255UL
#define WATCH_CPU(w) ((u32)((w) >> 56 & 63))

static __always_inline unsigned int watch_slot(u64 addr)
{
	return addr / PAGE_SIZE % NR_WATCH;
}

/* Do the accesses meet, and is one of them a write? */
static __always_inline bool watch_meets(u64 w, u64 addr, u64 size, u32 how)
{
	u64 start = w & WATCH_ADDR, length = w >> 48 & WATCH_SIZE_MAX;

	addr &= WATCH_ADDR;
	return w & WATCH_SET && addr < start + length && start < addr + size && (w & WATCH_WRITE || how & ACCESS_WRITE);
}

/* Somebody watches what is accessed here: tell them. */
void watch_hit(unsigned int slot, u64 w, const volatile void *p, u64 size, u32 how);
/* Watch it for a while, if this CPU may now. */
void watch_set(const volatile void *p, u64 size, u32 how);

struct kcsan_cpu {
	s64 skip;     /* accesses until the next is watched */
	u64 watching; /* above 0: one is, and none in what interrupts that */
	u64 off;      /* above 0: this CPU tells a race, and nothing is looked at */
	u64 watched;  /* how many, since boot */
};
DECLARE_PER_CPU(struct kcsan_cpu, kcsan_cpu);

void report_race(const struct access *mine, const struct access *other);
void report_change(const struct access *mine, u64 before, u64 after);

/* For tests: every so many plain accesses one is watched, on each CPU; returns what it was. */
s64 kcsan_set_skip(s64 n);
u64 kcsan_watched(unsigned int cpu);

#endif
