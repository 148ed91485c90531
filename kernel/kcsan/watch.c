/*
 * watch.c - watchpoints: now and then a plain access is not made at once, but watched
 * for some microseconds. Who meets it meanwhile, or a value that has changed, is a race.
 *
 * Invariant of a slot of watches[]: 0 -> what is watched, by the watcher's compare-and-
 * swap; from there back to 0 by the watcher's, or to MET by that of one who meets it,
 * and only that one writes `others` of the slot, then goes MET -> TOLD. The watcher takes it
 * from TOLD to 0; if it does not come to that soon, MET -> LEFT, and then the other one goes
 * LEFT -> 0. So a slot is free only when nobody writes to it any more, and nobody waits
 * for what it may have interrupted: a nested one is through when the watcher goes on.
 */
#include <anyctx/preempt.h>
#include <arch/cpu.h>
#include <arch/irq.h>
#include "kernel/cmdline.h"
#include "kernel/kcsan/internal.h"

#define MET 1UL
#define TOLD 2UL
#define LEFT 3UL
#define TOLD_POLLS 1000000

static s64 skip = 3000, delay = 60000;
KPARAM_INT(skip, "kcsan_skip", 1, 1000000000, "of so many plain accesses of a CPU one is watched");
KPARAM_INT(delay, "kcsan_delay", 1, 100000000, "for so many ticks of the clock, or up to twice as many");
static s64 nested;
KPARAM_INT(nested, "kcsan_nested", 0, 1, "1: what interrupts a watched access on its own CPU may be a race with it");

u64 watches[NR_WATCH + WATCH_TRIES];
static struct access others[NR_WATCH + WATCH_TRIES];
DEFINE_PER_CPU(struct kcsan_cpu, kcsan_cpu);

s64 kcsan_set_skip(s64 n)
{
	s64 was = skip;

	WRITE_ONCE(skip, n);
	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		if (!cpu || percpu_offset[cpu])
			WRITE_ONCE(per_cpu_ptr(kcsan_cpu, cpu)->skip, n);
	return was;
}

u64 kcsan_watched(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(kcsan_cpu, cpu)->watched);
}

static bool change(u64 *w, u64 from, u64 to)
{
	return __atomic_compare_exchange_n(w, &from, to, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

void watch_hit(unsigned int slot, u64 w, const volatile void *p, u64 size, u32 how)
{
	if (this_cpu_read64(kcsan_cpu.off) || (!nested && WATCH_CPU(w) == smp_processor_id()))
		return;
	if (!change(&watches[slot], w, MET))
		return;
	access_take(&others[slot], p, size, how, (u64)__builtin_frame_address(0));
	if (!change(&watches[slot], MET, TOLD))
		__atomic_store_n(&watches[slot], 0, __ATOMIC_RELEASE); /* LEFT */
}

static u64 value(const volatile void *p, u64 size)
{
	switch (size) {
	case 1:
		return *(const volatile u8 *)p;
	case 2:
		return *(const volatile u16 *)p;
	case 4:
		return *(const volatile u32 *)p;
	case 8:
		return *(const volatile u64 *)p;
	default:
		return 0;
	}
}

/* A slot of the page's; -1: all are in use. */
static int take_slot(const volatile void *p, u64 size, u32 how, u64 *w)
{
	int slot = (int)watch_slot((u64)p);

	*w = WATCH_SET | (how & ACCESS_WRITE ? WATCH_WRITE : 0) | ((u64)p & WATCH_ADDR) |
	     (size < WATCH_SIZE_MAX ? size : WATCH_SIZE_MAX) << 48 | (u64)smp_processor_id() << 56;
	for (int i = slot; i < slot + WATCH_TRIES; i++)
		if (!__atomic_load_n(&watches[i], __ATOMIC_RELAXED) && change(&watches[i], 0, *w))
			return i;
	return -1;
}

static void wait_some(u64 ticks)
{
	u64 start = arch_rdtsc();

	while (arch_rdtsc() - start < ticks)
		cpu_relax();
}

/* The other's part is there, or will not be waited for. */
static bool told(u64 *w)
{
	for (unsigned int i = 0; i < TOLD_POLLS; i++) {
		if (__atomic_load_n(w, __ATOMIC_ACQUIRE) == TOLD)
			return true;
		cpu_relax();
	}
	return !change(w, MET, LEFT);
}

/* Of this CPU, since boot. */
static u64 interruptions(void)
{
	const struct irq_counts *c = this_cpu_ptr(irq_counts);

	u64 n = READ_ONCE(c->timer) + READ_ONCE(c->nmi) + READ_ONCE(c->debug) + READ_ONCE(c->breakpoint);

	for (unsigned int i = 0; i < NR_IPI; i++)
		n += READ_ONCE(c->ipi[i]);
	return n;
}

static void watch(const volatile void *p, u64 size, u32 how, u64 rbp)
{
	u64 w, before = value(p, size), interrupted = interruptions(), after;
	int slot = take_slot(p, size, how, &w);
	struct access mine, other;

	if (slot < 0)
		return;
	this_cpu_add64(kcsan_cpu.watched, 1);
	wait_some((u64)delay + arch_rdtsc() % (u64)delay);
	after = value(p, size);
	if (change(&watches[slot], w, 0)) {
		if (before == after || (!nested && interruptions() != interrupted))
			return;
		access_take(&mine, p, size, how, rbp);
		report_change(&mine, before, after);
	} else if (told(&watches[slot])) {
		other = others[slot];
		__atomic_store_n(&watches[slot], 0, __ATOMIC_RELEASE);
		access_take(&mine, p, size, how, rbp);
		report_race(&mine, &other);
	}
}

static bool stepping(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return flags & RFLAGS_TF;
}

/* Not in one that goes on already, of this CPU: an interrupt would make it longer and longer.
 * The thread stays here meanwhile, as another CPU's count is none of its own. */
void watch_set(const volatile void *p, u64 size, u32 how)
{
	this_cpu_write64(kcsan_cpu.skip, skip / 2 + (s64)(arch_rdtsc() % (u64)skip));
	if (this_cpu_read64(kcsan_cpu.off) || this_cpu_read64(kcsan_cpu.watching) || stepping())
		return;
	preempt_disable();
	this_cpu_add64(kcsan_cpu.watching, 1);
	watch(p, size, how, (u64)__builtin_frame_address(0));
	this_cpu_add64(kcsan_cpu.watching, -1);
	preempt_enable();
}
