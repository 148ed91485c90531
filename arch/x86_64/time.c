/*
 * time.c - the clock: the CPU's time stamp counter, measured against a clock of
 * known rate at boot; the local APIC timer is measured in the same go.
 *
 * Invariant: `mult` goes from 0 to its value by one store of CPU 0, after `base`;
 * both are constant from then on. So arch_ns is 0 and then grows, whatever it
 * interrupts: any context. It is monotonic on a CPU; two CPUs agree as far as their
 * counters do. A reading is of use only if nothing came between the counters that it
 * takes, so of several the tightest is kept: an emulated CPU may be put aside at any
 * instruction for as long as its host likes.
 */
#include <arch/time.h>
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "devices.h"

#define SECOND 1000000000UL
#define MULT_SHIFT 32
#define INTERVALS_A_SECOND 100 /* one is how long a measurement takes */
#define READINGS 16
#define TRIALS 10
#define POLL_SPINS 200
#define DELAY_PORT 0x80 /* a write takes about a microsecond */

/* What the others are measured by. */
struct reference {
	const char *name;
	u64 hz;
	void (*begin)(void);
	u64 (*read)(void);
	bool (*good)(void); /* asked last: have its readings been right? */
};

struct reading {
	u64 ref, tsc, width;
	u32 timer;
};

static u64 tsc_hz, base;
static u64 mult; /* nanoseconds for a count, times 2^MULT_SHIFT; 0: not known yet */

u64 arch_tsc_hz(void)
{
	return tsc_hz;
}

u64 arch_ns(void)
{
	u64 m = __atomic_load_n(&mult, __ATOMIC_ACQUIRE), now;

	if (!m)
		return 0;
	now = arch_rdtsc();
	if ((s64)(now - base) < 0)
		return 0; /* a CPU whose counter is behind that of CPU 0 */
	return (u64)(((unsigned __int128)(now - base) * m) >> MULT_SHIFT);
}

void arch_udelay(u64 us)
{
	u64 start = arch_rdtsc();

	if (!tsc_hz) {
		while (us--)
			outb(DELAY_PORT, 0);
		return;
	}
	while (arch_rdtsc() - start < us * (tsc_hz / 1000000))
		cpu_relax();
}

/* ---- references ---- */

static void begin_nothing(void)
{
}

static bool always_good(void)
{
	return true;
}

static u64 tsc_read(void)
{
	return arch_rdtsc();
}

/* CPUID 0x15: the crystal's rate and its ratio to the counter, if it says both. */
static u64 tsc_hz_by_crystal(void)
{
	struct cpuid r;

	if (cpuid(0, 0).eax < 0x15)
		return 0;
	r = cpuid(0x15, 0);
	return r.eax && r.ebx && r.ecx ? (u64)r.ecx * r.ebx / r.eax : 0;
}

/* CPUID 0x16: the rate it was sold with. */
static u64 tsc_hz_by_name(void)
{
	return cpuid(0, 0).eax < 0x16 ? 0 : (cpuid(0x16, 0).eax & 0xffff) * 1000000UL;
}

static struct reference reference_choose(void)
{
	u64 crystal = tsc_hz_by_crystal(), name = tsc_hz_by_name();

	if (crystal)
		return (struct reference){ "CPUID 0x15", crystal, begin_nothing, tsc_read, always_good };
	if (hpet_hz())
		return (struct reference){ "HPET", hpet_hz(), begin_nothing, hpet_read, always_good };
	if (pit_present())
		return (struct reference){ "PIT", PIT_HZ, pit_clock_begin, pit_clock_read, pit_clock_good };
	if (name)
		return (struct reference){ "CPUID 0x16", name, begin_nothing, tsc_read, always_good };
	panic("no clock of known rate: neither HPET nor PIT, nor CPUID 0x15 or 0x16");
}

/* ---- measuring ---- */

static struct reading read_once(const struct reference *r)
{
	struct reading x;
	u64 before = arch_rdtsc();

	x.timer = lapic_timer_count();
	x.ref = r->read();
	x.width = arch_rdtsc() - before;
	x.tsc = before + x.width / 2;
	return x;
}

static struct reading read_best(const struct reference *r)
{
	struct reading best = read_once(r);

	for (unsigned int i = 1; i < READINGS; i++) {
		struct reading x = read_once(r);

		if (x.width < best.width)
			best = x;
	}
	return best;
}

static void wait_interval(const struct reference *r, u64 from)
{
	while (r->read() - from < r->hz / INTERVALS_A_SECOND)
		for (unsigned int i = 0; i < POLL_SPINS; i++)
			barrier(); /* asking a device may take long */
}

/* count * hz / ref, where the product may be too long. */
static u64 rate(u64 count, u64 hz, u64 ref)
{
	while (count >> 32) {
		count >>= 1;
		ref >>= 1;
	}
	return ref ? count * hz / ref : 0;
}

/* false: something ran over, the readings are worth nothing. */
static bool measure(const struct reference *r, u64 *tsc, u64 *timer)
{
	struct reading a, b;

	lapic_timer_count_begin();
	r->begin();
	a = read_best(r);
	wait_interval(r, a.ref);
	b = read_best(r);
	if (!r->good() || !b.timer || b.ref <= a.ref || b.tsc <= a.tsc)
		return false;
	*tsc = rate(b.tsc - a.tsc, r->hz, b.ref - a.ref);
	*timer = rate(a.timer - b.timer, r->hz, b.ref - a.ref);
	return *tsc && *timer;
}

static void clock_publish(u64 hz)
{
	tsc_hz = hz;
	base = arch_rdtsc();
	__atomic_store_n(&mult, (u64)(SECOND << MULT_SHIFT) / hz, __ATOMIC_RELEASE);
}

void time_calibrate(void)
{
	struct reference r = reference_choose();
	unsigned int trials = 0;
	u64 tsc = 0, timer = 0;

	while (!measure(&r, &tsc, &timer))
		if (++trials == TRIALS)
			panic("the clock could not be measured by the %s", r.name);
	arch_timer_cancel();
	if (r.read == tsc_read)
		tsc = r.hz;
	lapic_timer_set_clock(timer);
	clock_publish(tsc);
	printk("clock: TSC %lu kHz, APIC timer %lu kHz, by %s\n", tsc / 1000, timer / 1000, r.name);
}
