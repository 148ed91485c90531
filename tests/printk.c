/*
 * printk.c - tests of printk: whole lines in order, from every context at once.
 *
 * Each line names its printer and number, and fills the rest with letters that
 * follow from them. The tap sees what would be written, checks and swallows it.
 * Only one context drains at a time, so the tap's counters are plain.
 */
#include "kernel/printk.h"
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "lib/string.h"
#include "tests/step.h"
#include "tests/test.h"

#define MARK '@'
#define LINE 800

static u64 seen, torn, disordered;
static u64 last_seen[NR_CPUS][NR_CONTEXT]; /* number of the last line seen */
static u64 printed[NR_CPUS][NR_CONTEXT];
static char line[LINE];
static size_t line_len;
static u64 told; /* lines that printk says it has dropped */

static char letter(u64 number, u64 i)
{
	return (char)('a' + (number + i) % 26);
}

/* Print a line; length: of its fill. A number is used once, also if an NMI of
 * the same kind comes in between. */
static void print_marked(u64 length)
{
	unsigned int cpu = smp_processor_id();
	enum context ctx = current_context();
	u64 number = __atomic_add_fetch(&printed[cpu][ctx], 1, __ATOMIC_RELAXED);
	char fill[600];

	for (u64 i = 0; i < length; i++)
		fill[i] = letter(number, i);
	fill[length] = 0;
	printk("%c%02u %u %08lx %03lu %s\n", MARK, cpu, (u32)ctx, number, length, fill);
}

static u64 number_at(const char *s, unsigned int n, unsigned int base)
{
	u64 v = 0;

	for (unsigned int i = 0; i < n; i++) {
		char c = s[i];
		u64 d = c >= '0' && c <= '9' ? (u64)(c - '0')
			: c >= 'a' && c <= 'f' ? (u64)(c - 'a' + 10) : 99;

		if (d >= base)
			return ~0UL;
		v = v * base + d;
	}
	return v;
}

/* "@cc x nnnnnnnn lll fill\n" */
static bool line_is_whole(void)
{
	u64 cpu = number_at(line + 1, 2, 10), ctx = number_at(line + 4, 1, 10);
	u64 number = number_at(line + 6, 8, 16), length = number_at(line + 15, 3, 10);

	if (line_len < 20 || cpu >= NR_CPUS || ctx >= NR_CONTEXT || length != line_len - 20)
		return false;
	for (u64 i = 0; i < length; i++)
		if (line[19 + i] != letter(number, i))
			return false;
	if (number <= last_seen[cpu][ctx])
		disordered++;
	last_seen[cpu][ctx] = number;
	return true;
}

/* "printk: 12 lines dropped\n" */
static bool is_told(const char *text, size_t len)
{
	static const char begin[] = "printk: ", end[] = " lines dropped\n";
	size_t digits = len - (sizeof(begin) - 1) - (sizeof(end) - 1);

	if (len < sizeof(begin) - 1 + sizeof(end) || digits > 9 || memcmp(text, begin, sizeof(begin) - 1) ||
	    memcmp(text + len - (sizeof(end) - 1), end, sizeof(end) - 1))
		return false;
	told += number_at(text + sizeof(begin) - 1, (unsigned int)digits, 10);
	return true;
}

static bool check_record(const char *text, size_t len)
{
	if (is_told(text, len))
		return true;
	if (!line_len && text[0] != MARK)
		return false;
	if (line_len + len > LINE) {
		torn++;
		line_len = 0;
		return true;
	}
	memcpy(line + line_len, text, len);
	line_len += len;
	if (line[line_len - 1] != '\n')
		return true; /* goes on in the next record */
	seen++;
	torn += !line_is_whole();
	line_len = 0;
	return true;
}

static u64 dropped_before;

static void tap_begin(void)
{
	memset(last_seen, 0, sizeof(last_seen));
	memset(printed, 0, sizeof(printed));
	seen = torn = disordered = line_len = told = 0;
	dropped_before = printk_dropped();
	printk_set_tap(check_record);
}

static u64 total_printed(void)
{
	u64 total = 0;

	for (unsigned int cpu = 0; cpu < NR_CPUS; cpu++)
		for (unsigned int ctx = 0; ctx < NR_CONTEXT; ctx++)
			total += printed[cpu][ctx];
	return total;
}

/* Lines that are still in the ring, if nobody prints. */
static u64 waiting(void)
{
	return total_printed() - seen - (printk_dropped() - dropped_before);
}

/* All that was printed was seen, whole, or counted as dropped, and that told. */
static void tap_end(void)
{
	printk_flush();
	printk_set_tap(NULL);
	EXPECT_EQ(waiting(), 0);
	EXPECT_EQ(told, printk_dropped() - dropped_before);
	EXPECT_EQ(torn, 0);
	EXPECT_EQ(disordered, 0);
	test_note("%lu lines printed, %lu dropped", total_printed(), printk_dropped() - dropped_before);
}

TEST(printk, lengths, "lines of every length come out whole, also those longer than a record")
{
	tap_begin();
	for (u64 length = 0; length < 600; length++)
		print_marked(length);
	tap_end();
	EXPECT_EQ(printk_dropped(), dropped_before);
}

static void print_many(void *arg)
{
	for (u64 i = 0; i < (u64)arg; i++)
		print_marked((i * 37 + smp_processor_id()) % 500);
}

TEST(printk, all_cpus, "lines of all CPUs at once, none torn, each CPU's in order")
{
	tap_begin();
	on_each_cpu_thread(print_many, (void *)200);
	tap_end();
}

static void print_in_interrupt(struct regs *r)
{
	(void)r;
	print_marked(printed[smp_processor_id()][current_context()] % 300);
}

TEST(printk, ticks_and_nmis, "threads, timer interrupts and NMIs of all CPUs print at once")
{
	u64 end = arch_ns() + 500000000;
	unsigned int n = num_online_cpus();

	tap_begin();
	set_tick_hook(print_in_interrupt);
	set_nmi_hook(print_in_interrupt);
	for (unsigned int i = 0; arch_ns() < end; i++) {
		arch_send_nmi(i % n);
		print_marked(i % 400);
		if (n > 1 && i % 16 == 0)
			cpu_thread_run(1 + i / 16 % (n - 1), print_many, (void *)4);
	}
	set_tick_hook(NULL);
	set_nmi_hook(NULL);
	for (unsigned int cpu = 1; cpu < n; cpu++)
		cpu_thread_wait(cpu);
	hook_sync();
	EXPECT(printed[0][CTX_THREAD] && printed[0][CTX_IRQ] && printed[0][CTX_NMI]);
	tap_end();
}

static void print_one(void *arg)
{
	print_marked((u64)arg);
}

static u64 step, print_at;

static void print_at_step(struct regs *r)
{
	if (step++ != print_at)
		return;
	print_marked(5);
	r->rflags &= ~RFLAGS_TF; /* the rest at full speed */
}

TEST(printk, every_instruction,
     "one line printed at each instruction of printk and its drain, a run for each: both lines come out")
{
	if (!step_possible())
		return;
	tap_begin();
	print_at = 0;
	for (step = 0; step >= print_at; print_at++) { /* until a run has fewer points */
		u64 flags = arch_irq_save();

		step = 0;
		step_through(print_one, (void *)2, print_at_step);
		arch_irq_restore(flags);
		if (waiting()) /* without a flush */
			test_fail(__FILE__, __LINE__, "a line is stuck after point %lu", print_at);
		printk_flush();
	}
	EXPECT(printed[0][CTX_DEBUG] == print_at - 1 && print_at > 500);
	EXPECT_EQ(printk_dropped(), dropped_before);
	tap_end();
	test_note("%lu points", print_at - 1);
}

/* The drainer itself is interrupted: the tap runs in the middle of the drain. */
static bool print_in_drain(const char *text, size_t len)
{
	if (text[0] == MARK && printed[0][CTX_THREAD] < 100)
		print_marked(10);
	return check_record(text, len);
}

TEST(printk, inside_drain, "a line printed by the drainer in the middle of a line waits for its turn")
{
	tap_begin();
	printk_set_tap(print_in_drain);
	print_marked(20);
	tap_end();
	EXPECT_EQ(seen, 100);
}

#define FLOOD 600
#define RING 512 /* slots in printk.c */
static volatile bool flooded;

static void flood(struct regs *r)
{
	(void)r;
	for (int i = 0; !flooded && i < FLOOD; i++)
		print_marked(3);
	flooded = true;
}

/* An NMI in the middle of the drain: nobody can drain while it prints. */
static bool flood_in_drain(const char *text, size_t len)
{
	if (text[0] == MARK && !flooded) {
		arch_send_nmi(smp_processor_id());
		for (int i = 0; i < 20000000 && !flooded; i++)
			cpu_relax();
	}
	return check_record(text, len);
}

TEST(printk, full_ring, "a full ring drops what does not fit and counts it, and works again after it")
{
	flooded = false;
	set_nmi_hook(flood);
	tap_begin();
	printk_set_tap(flood_in_drain);
	print_marked(1);
	print_many((void *)50);
	tap_end();
	EXPECT_EQ(printk_dropped() - dropped_before, FLOOD - (RING - 1));
}

/* ---- flush against a drainer that is not done ---- */
static volatile bool drainer_inside, gate_open;
static volatile u64 gate_ticks;

static bool wait_in_drain(const char *text, size_t len)
{
	if (text[0] == MARK && !gate_open) {
		drainer_inside = true;
		while (!gate_open)
			cpu_relax();
	}
	return check_record(text, len);
}

static void open_gate_later(struct regs *r)
{
	(void)r;
	if (smp_processor_id() == 0 && ++gate_ticks == 10)
		gate_open = true;
}

TEST(printk, flush_waits, "printk_flush returns only when another CPU's drain is done as well")
{
	if (num_online_cpus() < 2) {
		test_skip("needs two CPUs");
		return;
	}
	drainer_inside = gate_open = false;
	gate_ticks = 0;
	tap_begin();
	printk_set_tap(wait_in_drain);
	cpu_thread_run(1, print_one, (void *)50);
	while (!drainer_inside)
		cpu_relax();
	print_marked(10);
	EXPECT_EQ(seen, 0);
	set_tick_hook(open_gate_later);
	printk_flush();
	set_tick_hook(NULL);
	EXPECT(gate_open);
	EXPECT_EQ(waiting(), 0);
	gate_open = true;
	cpu_thread_wait(1);
	tap_end();
}
