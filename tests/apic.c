/*
 * apic.c - local APICs, timers and the clock as the rest of the kernel relies on
 * them: what is sent arrives, once, where it was sent to, whatever interrupts the
 * sender; clocks agree with each other. Rates are judged by other clocks of the same
 * machine, never by how long something takes; waiting has a bound only so that what
 * is lost is a failed case and not a hang.
 */
#include <arch/irq.h>
#include <arch/machine.h>
#include <arch/time.h>
#include "arch/x86_64/devices.h"
#include "arch/x86_64/lapic.h"
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/tick.h"
#include "tests/step.h"
#include "tests/test.h"

#define LOST_NS 10000000000UL /* who waits that long waits in vain */

static u64 irq_works_of(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(irq_counts, cpu)->ipi[IPI_IRQ_WORK]);
}

static u64 nmis_of(unsigned int cpu)
{
	return READ_ONCE(per_cpu_ptr(irq_counts, cpu)->nmi);
}

/* Wait until count(cpu) has left `was`; what it is then. */
static u64 wait_change(u64 (*count)(unsigned int), unsigned int cpu, u64 was)
{
	u64 end = arch_ns() + LOST_NS;

	while (count(cpu) == was && arch_ns() < end)
		cpu_relax();
	return count(cpu);
}

/* ---- each CPU sends ---- */

static void expect_ipi(unsigned int to)
{
	u64 was = irq_works_of(to);

	arch_send_ipi(to, IPI_IRQ_WORK);
	EXPECT_EQ(wait_change(irq_works_of, to, was), was + 1);
}

static void expect_nmi(unsigned int to)
{
	u64 was = nmis_of(to);

	arch_send_nmi(to);
	EXPECT_EQ(wait_change(nmis_of, to, was), was + 1);
}

/* fn(arg) in the thread of that CPU; returns when it has. */
static void on_cpu(unsigned int cpu, void (*fn)(void *), void *arg)
{
	if (cpu == smp_processor_id()) {
		fn(arg);
		return;
	}
	cpu_thread_run(cpu, fn, arg);
	cpu_thread_wait(cpu);
}

static void send_ipis(void *unused)
{
	unsigned int me = smp_processor_id();

	(void)unused;
	expect_ipi(0);
	expect_ipi(me);
	expect_ipi((me + 1) % num_online_cpus());
}

static void send_nmis(void *unused)
{
	unsigned int me = smp_processor_id();

	(void)unused;
	expect_nmi(0);
	expect_nmi(me);
	expect_nmi((me + 1) % num_online_cpus());
}

TEST(apic, ipi, "an IPI from CPU 0 to each CPU and back, to itself and to a neighbour arrives there, once")
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		expect_ipi(cpu);
		on_cpu(cpu, send_ipis, NULL);
	}
}

TEST(apic, nmi, "the same for NMIs")
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		expect_nmi(cpu);
		on_cpu(cpu, send_nmis, NULL);
	}
}

static u64 ids_wrong;

static void check_id(void *unused)
{
	(void)unused;
	if (lapic_id() != machine.cpus[smp_processor_id()].apic_id || lapic_error_status())
		__atomic_fetch_add(&ids_wrong, 1, __ATOMIC_RELAXED);
}

TEST(apic, ids, "each CPU is the one that the tables bind its number to, and its APIC saw no error")
{
	ids_wrong = 0;
	on_each_cpu(check_id, NULL, true);
	EXPECT_EQ(ids_wrong, 0);
	for (unsigned int i = 0; i < num_online_cpus(); i++) {
		EXPECT_EQ(per_cpu_ptr(irq_counts, i)->apic_error, 0);
		for (unsigned int j = 0; j < i; j++)
			EXPECT(machine.cpus[i].apic_id != machine.cpus[j].apic_id);
	}
}

/* ---- a sender that is interrupted by a sender ---- */
static unsigned int outer_to, nested_to;
static volatile u64 nested_sent, nested_lost, in_sender;

static void nested_send(struct regs *r)
{
	u64 was = irq_works_of(nested_to);

	(void)r;
	arch_send_ipi(nested_to, IPI_IRQ_WORK);
	nested_sent++;
	if (wait_change(irq_works_of, nested_to, was) != was + 1)
		nested_lost++;
}

/* After each instruction of the sender: an NMI to itself, which sends as well. */
static void nmi_at(struct regs *r)
{
	u64 sent = nested_sent, end = arch_ns() + LOST_NS;

	if (r->rip - (u64)lapic_send < 256)
		in_sender++;
	arch_send_nmi(smp_processor_id());
	while (nested_sent == sent && arch_ns() < end)
		cpu_relax();
}

static void outer_send(void *unused)
{
	(void)unused;
	arch_send_ipi(outer_to, IPI_IRQ_WORK);
}

TEST(apic, nested_send,
     "an NMI that sends, at every instruction of a send: both arrive where they were sent to")
{
	u64 was, steps;

	if (num_online_cpus() < 3) {
		test_skip("needs three CPUs");
		return;
	}
	outer_to = 1;
	nested_to = 2;
	nested_sent = nested_lost = in_sender = 0;
	was = irq_works_of(outer_to);
	set_nmi_hook(nested_send);
	steps = step_through(outer_send, NULL, nmi_at);
	set_nmi_hook(NULL);
	hook_sync();
	EXPECT_EQ(wait_change(irq_works_of, outer_to, was), was + 1);
	EXPECT_EQ(nested_sent, steps);
	EXPECT_EQ(nested_lost, 0);
	EXPECT(in_sender > 0);
	test_note("%lu instructions, %lu of them in lapic_send", steps, in_sender);
}

/* ---- sources of NMIs ---- */
#define SOURCE_HZ 50
#define SOURCE_NMIS 5 /* that each CPU has to get: more than one, as some stop there */

struct enable {
	enum nmi_source src;
	bool on;
};

static void enable_here(void *arg)
{
	const struct enable *e = arg;

	arch_nmi_source_enable_cpu(e->src, e->on);
}

static void check_source(enum nmi_source src)
{
	struct enable e = { .src = src, .on = true };
	u64 before[NR_CPUS], end, flags;

	if (!arch_nmi_source_start(src, SOURCE_HZ)) {
		test_note("%s: not there", arch_nmi_source_name(src));
		return;
	}
	on_each_cpu(enable_here, &e, true);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		before[cpu] = nmis_of(cpu);
	flags = arch_irq_save();
	end = arch_ns() + LOST_NS;
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		while (nmis_of(cpu) < before[cpu] + SOURCE_NMIS && arch_ns() < end)
			cpu_relax();
		EXPECT(nmis_of(cpu) >= before[cpu] + SOURCE_NMIS);
	}
	arch_irq_restore(flags);
	end = nmis_of(0) + SOURCE_NMIS;
	while (nmis_of(0) < end)
		for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
			expect_ipi(cpu);
	e.on = false;
	on_each_cpu(enable_here, &e, true);
	arch_nmi_source_stop(src);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		before[cpu] = nmis_of(cpu);
	arch_udelay(5 * 1000000 / SOURCE_HZ);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) /* one may have been under way */
		EXPECT(nmis_of(cpu) <= before[cpu] + 1);
	test_note("%s: works", arch_nmi_source_name(src));
}

/*
 * Without ticks, and first with interrupts off here: nothing but the NMI itself makes
 * the next one come; then with IPIs, none of which the source may swallow. Not the
 * performance counter, which stands still where a CPU has nothing to do.
 */
TEST(apic, sources,
     "a source of NMIs that says it is there reaches every CPU, again and again, until stopped")
{
	tick_set_hz(0);
	check_source(NMI_SRC_PIT_LINT0);
	check_source(NMI_SRC_IOAPIC_PIT);
	check_source(NMI_SRC_HPET);
	tick_set_hz(tick_default_hz());
}

/* ---- timers ---- */

struct reading {
	u64 tsc, ns, width;
	u32 timer;
};

static struct reading read_once(void)
{
	struct reading x;

	x.tsc = arch_rdtsc();
	x.timer = lapic_timer_count();
	x.ns = arch_ns();
	x.width = arch_rdtsc() - x.tsc;
	return x;
}

/* Of several readings the one with the least room between its two counters. */
static struct reading read_best(void)
{
	struct reading best = read_once();

	for (unsigned int i = 0; i < 32; i++) {
		struct reading x = read_once();

		if (x.width < best.width)
			best = x;
	}
	return best;
}

static u64 ns_of(u64 count, u64 hz)
{
	return count * 1000000 / (hz / 1000);
}

/* Both clocks measure the same time; they may differ by the readings' own widths,
 * and by one in a thousand, which is far more than the calibration is off. */
static void compare_clocks(void *unused)
{
	struct reading a, b;
	u64 by_tsc, by_ns, by_timer, may_differ;

	(void)unused;
	lapic_timer_count_begin();
	a = read_best();
	arch_udelay(20000);
	b = read_best();
	arch_timer_cancel();
	if (!b.timer) {
		test_note("CPU %u was put aside for longer than its timer counts", smp_processor_id());
		return;
	}
	by_tsc = ns_of(b.tsc - a.tsc, arch_tsc_hz());
	by_ns = b.ns - a.ns;
	by_timer = ns_of(a.timer - b.timer, lapic_timer_clock());
	may_differ = ns_of(a.width + b.width, arch_tsc_hz()) + by_tsc / 1000;
	EXPECT(by_tsc < by_timer + may_differ);
	EXPECT(by_timer < by_tsc + may_differ);
	EXPECT(by_ns < by_timer + may_differ);
	EXPECT(by_timer < by_ns + may_differ);
}

TEST(apic, timer_rate, "on every CPU the timer, the time stamp counter and arch_ns measure the same time")
{
	tick_set_hz(0);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		on_cpu(cpu, compare_clocks, NULL);
	tick_set_hz(tick_default_hz());
}

#define TICKS 20
#define RATE 200

TEST(apic, ticks, "every CPU ticks at the rate that was set, never faster, and not when it is stopped")
{
	unsigned int n = num_online_cpus();
	u64 before[NR_CPUS], start, elapsed;

	tick_set_hz(0);
	for (unsigned int cpu = 0; cpu < n; cpu++)
		before[cpu] = tick_number(cpu);
	start = arch_ns();
	tick_set_hz(RATE);
	for (unsigned int cpu = 0; cpu < n; cpu++)
		while (tick_number(cpu) < before[cpu] + TICKS && arch_ns() < start + LOST_NS)
			cpu_relax();
	tick_set_hz(0);
	elapsed = arch_ns() - start;
	for (unsigned int cpu = 0; cpu < n; cpu++) {
		u64 ticks = tick_number(cpu) - before[cpu];

		EXPECT(ticks >= TICKS);
		/* One more for each end, and one in a thousand for the calibration. */
		EXPECT(ticks <= elapsed * RATE / 1000000000 * 1001 / 1000 + 2);
		before[cpu] = tick_number(cpu);
	}
	arch_udelay(10 * 1000000 / RATE);
	for (unsigned int cpu = 0; cpu < n; cpu++) /* one may have been under way */
		EXPECT(tick_number(cpu) <= before[cpu] + 1);
	tick_set_hz(tick_default_hz());
}

static volatile u64 oneshot_ns;

static void note_time(struct regs *r)
{
	(void)r;
	if (!oneshot_ns)
		oneshot_ns = arch_ns();
}

TEST(apic, oneshot, "the timer's NMI comes once, and not before its count has run down; cancelled, never")
{
	u64 slack = 1000; /* ns: what rounding and the calibration may make of it */

	arch_timer_set(0);
	set_nmi_hook(note_time);
	for (u32 ns = 1000; ns <= 10000000; ns *= 10) {
		u64 was = nmis_of(0), start = arch_ns();
		u32 count = (u32)(ns * (lapic_timer_clock() / 1000) / 1000000);

		oneshot_ns = 0;
		arch_timer_nmi_oneshot(count);
		EXPECT_EQ(wait_change(nmis_of, 0, was), was + 1);
		EXPECT(oneshot_ns + slack + ns / 1000 >= start + ns);
		arch_udelay(2 * ns / 1000);
		EXPECT_EQ(nmis_of(0), was + 1);
		arch_timer_nmi_oneshot(1u << 31);
		arch_timer_cancel();
	}
	set_nmi_hook(NULL);
	hook_sync();
	arch_timer_set(tick_hz());
}

/* ---- the clock ---- */
#define CLOCK_READS 100000
static u64 clock_back;

static void read_clock(void *unused)
{
	u64 last = arch_ns(), first = last;

	(void)unused;
	for (unsigned int i = 0; i < CLOCK_READS; i++) {
		u64 now = arch_ns();

		if (now < last)
			__atomic_fetch_add(&clock_back, 1, __ATOMIC_RELAXED);
		last = now;
	}
	if (last == first)
		__atomic_fetch_add(&clock_back, 1, __ATOMIC_RELAXED);
}

TEST(apic, clock, "arch_ns never goes back on a CPU, in threads and in the NMIs that interrupt them")
{
	static u64 last;

	clock_back = 0;
	on_each_cpu_thread(read_clock, NULL);
	EXPECT_EQ(clock_back, 0);
	set_nmi_hook(note_time);
	for (unsigned int i = 0; i < 1000; i++) {
		oneshot_ns = 0;
		last = arch_ns();
		arch_send_nmi(0);
		while (!oneshot_ns && arch_ns() < last + LOST_NS)
			cpu_relax();
		EXPECT(oneshot_ns >= last && oneshot_ns <= arch_ns());
	}
	set_nmi_hook(NULL);
	hook_sync();
}

TEST(apic, delay, "a delay is never shorter than asked for")
{
	for (u64 us = 1; us <= 10000; us *= 10) {
		u64 start = arch_ns();

		arch_udelay(us);
		EXPECT(arch_ns() - start + 1 >= us * 1000 - us);
	}
}

/* ---- nodes ---- */

TEST(apic, nodes, "every CPU and every piece of memory is on a node that there is; distances make sense")
{
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++)
		EXPECT((unsigned int)cpu_to_node(cpu) < num_nodes());
	for (unsigned int i = 0; i < nr_mem_ranges; i++)
		EXPECT((unsigned int)mem_ranges[i].node < num_nodes());
	for (unsigned int a = 0; a < num_nodes(); a++) {
		bool used = false;

		for (unsigned int cpu = 0; cpu < arch_nr_cpus_found(); cpu++)
			used |= cpu_to_node(cpu) == (int)a;
		for (unsigned int i = 0; i < machine.nr_mem; i++)
			used |= machine.mem[i].node == (int)a;
		EXPECT(used || num_nodes() == 1);
		for (unsigned int b = 0; b < num_nodes(); b++)
			EXPECT(a == b ? arch_node_distance((int)a, (int)b) == 10 :
					arch_node_distance((int)a, (int)b) >= 10);
	}
	EXPECT(num_online_cpus() <= arch_nr_cpus_found());
	test_note("%u nodes, %u CPUs online of %u", num_nodes(), num_online_cpus(), arch_nr_cpus_found());
}
