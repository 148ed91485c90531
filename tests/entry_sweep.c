/*
 * entry_sweep.c - an NMI at every instruction of the ways into the kernel and out.
 *
 * The local APIC timer in NMI mode, set to 1, 2, 3 ... ticks before a payload that
 * traps. Under QEMU's -icount shift=0 a tick is an instruction: each NMI lands one
 * instruction behind the one before, nothing is left out, and the case demands it.
 * On any other machine it is a sample; the figure of addresses hit says how good.
 * CPU 0; the payload runs with interrupts off.
 */
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/paging.h>
#include "arch/x86_64/private.h"
#include "kernel/exact.h"
#include "kernel/context.h"
#include "kernel/hooks.h"
#include "kernel/tick.h"
#include "lib/string.h"
#include "tests/entry_state.h"
#include "tests/test.h"

#define MAX_TEXT 8192    /* of entry text */
#define MAX_COUNT 60000  /* timer ticks at the most */
#define SAMPLE_RUNS 3000 /* without exact counts */
#define MAX_SAMPLES (300 * SAMPLE_RUNS) /* on a host so busy that no NMI lands */
#define BEHIND_END 20    /* NMIs after the payload's end that end a sweep */

/* What the NMI's hook does, each a way to disturb the interrupted entry. */
enum action { ACT_NONE, ACT_INT3 = 1, ACT_STEP = 2, ACT_FAULT = 4, ACT_ALL = 7, ACT_BREAK = 8 };
#define ACT_SLOT 3 /* which ACT_BREAK sets */

#define MSR_KERNEL_GS_BASE 0xc0000102
#define RFLAGS_DF 0x400UL
#define NO_GS_BASE 0xffffa00000000000UL

static u8 hit[MAX_TEXT];
static volatile u64 nmis, in_entry, distinct, repeated;
static volatile enum action action;
static volatile u64 last_rip;
static volatile bool in_payload;
static volatile u64 behind_end;
static volatile u64 run_nmis; /* in this run */
static volatile u32 second_nmi; /* count for another NMI, set by the first one's hook; 0: none */

/* A few #DBs: single steps, each entered and left while NMI or #DB are active;
 * and the payload's data breakpoint, where breakpoints are on in NMIs. */
static void single_steps(void)
{
	WRITE_ONCE(payload_watched, 0);
	__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
			 "nop\n\tnop\n\t"
			 "pushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq" : : : "cc", "memory");
}

static void act(void)
{
	static u64 nobody_touches;
	u64 v;

	if (action & ACT_BREAK)
		EXPECT_EQ(arch_hw_break_set(ACT_SLOT, &nobody_touches, HW_BREAK_WRITE, 8), 0);
	if (action & ACT_STEP)
		single_steps();
	if (action & ACT_FAULT)
		EXPECT(!arch_probe_read64((void *)(PAYLOAD_FAULT_ADDR ^ 0xf0000), &v));
	if (action & ACT_INT3)
		__asm__ volatile("int3");
	if (action & ACT_STEP)
		single_steps();
	EXPECT_EQ(current_context(), CTX_NMI);
}

static void note(u64 rip)
{
	u64 off = rip - (u64)__entry_text_start;

	if (rip == last_rip)
		repeated++;
	last_rip = rip;
	if (off >= (u64)(__entry_text_end - __entry_text_start) || off >= MAX_TEXT)
		return;
	in_entry++;
	if (!hit[off])
		distinct++;
	hit[off] = 1;
}

/* The payload has set it; C takes it for clear. */
static void check_direction(void)
{
	u64 flags;

	__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
	EXPECT(!(flags & RFLAGS_DF));
}

static void sweep_nmi(struct regs *r)
{
	check_direction();
	nmis++;
	note(r->rip);
	if (!in_payload)
		behind_end++;
	act();
	if (!run_nmis++ && second_nmi) {
		__asm__ volatile("int3"); /* its IRET lets the second one in */
		arch_timer_nmi_oneshot(second_nmi);
	}
}

static bool sweep_trap(struct regs *r, u64 dr6)
{
	(void)r;
	(void)dr6;
	check_direction();
	return true;
}

static void sweep_begin(enum action a)
{
	memset(hit, 0, sizeof(hit));
	nmis = in_entry = distinct = repeated = behind_end = last_rip = 0;
	second_nmi = 0;
	action = a;
	/* What a swap would put in its place leads nowhere, not even on CPU 0. */
	wrmsr(MSR_KERNEL_GS_BASE, NO_GS_BASE);
	set_trap_hook(sweep_trap);
	tick_set_hz(0); /* on all CPUs: what they do moves an exact clock on as well */
}

static void sweep_end(void)
{
	arch_timer_cancel();
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
	wrmsr(MSR_KERNEL_GS_BASE, 0);
	tick_set_hz(tick_default_hz());
}

/* One run with the timer at count; false: the state was not kept. */
static __noinline bool sweep_one(enum payload p, u32 count)
{
	u64 flags = arch_irq_save();
	bool ok;

	run_nmis = 0;
	in_payload = true;
	arch_timer_nmi_oneshot(count);
	payload_run(p);
	in_payload = false;
	if (action & ACT_BREAK)
		arch_hw_break_clear(ACT_SLOT);
	ok = !payload_check(p);
	arch_timer_cancel();
	arch_irq_restore(flags);
	return ok;
}

static u32 sample_count(unsigned int run)
{
	return 100 + run * 7919 % 20011;
}

/*
 * The instructions of entry code on the way in and out, without what is in C. The
 * first instruction after a fault has the same tick as the one that faults, and
 * the NMI comes at that one already: one less for the instruction breakpoint and
 * the page fault. The data breakpoint is a trap, and has them all.
 */
static const u64 path_length[NR_PAYLOAD] = { 43, 43, 72 - 1, 72, 42 - 1, 0 };

static bool stack_watched; /* the sweep also has breakpoints on its own stack */

static void sweep_report(enum payload p, bool exact)
{
	test_note("%s: %lu NMIs, %lu in entry code at %lu distinct addresses%s", payload_names[p],
		  nmis, in_entry, distinct, exact ? ", every instruction" : " (a sample)");
	EXPECT(nmis > 0);
	if (exact && !stack_watched)
		EXPECT_EQ(distinct, path_length[p]);
}

/*
 * Breakpoints on words that the entries push and pop: in the frame of whatever
 * interrupts the payload, and in that of an NMI which interrupts entry_db there.
 */
static void watch_stack(enum payload p)
{
	const u64 in_regs = 168, db_slice = 256;
	u64 sp;

	sweep_one(p, 1u << 30); /* too late to land: only to learn the stack pointer */
	sp = payload_rsp[0] & ~7UL;
	EXPECT_EQ(arch_hw_break_set(1, (void *)(sp - in_regs), HW_BREAK_RW, 8), 0);
	EXPECT_EQ(arch_hw_break_set(2, (void *)(sp - db_slice - in_regs), HW_BREAK_RW, 8), 0);
}

static void sweep(enum payload p, enum action a)
{
	bool exact = clock_is_exact();

	sweep_begin(a);
	if (p == PAYLOAD_DEBUG)
		arch_hw_break_set(0, payload_debug_insn, HW_BREAK_EXEC, 1);
	if (p == PAYLOAD_WATCH)
		arch_hw_break_set(0, &payload_watched, HW_BREAK_WRITE, 8);
	if (stack_watched)
		watch_stack(p);
	set_nmi_hook(sweep_nmi);
	for (u32 k = 1; exact && k < MAX_COUNT && behind_end < BEHIND_END; k++)
		if (!sweep_one(p, k))
			break;
	for (unsigned int i = 0; !exact && (i < SAMPLE_RUNS || (!nmis && i < MAX_SAMPLES)); i++)
		if (!sweep_one(p, sample_count(i)))
			break;
	for (unsigned int slot = 0; slot <= ACT_SLOT; slot++)
		arch_hw_break_clear(slot); /* before the ticks come back: they use those stack words too */
	sweep_end();
	sweep_report(p, exact);
}

TEST(entry_sweep, int3, "NMI at every instruction around an int3: all state kept")
{
	sweep(PAYLOAD_INT3, ACT_NONE);
}

TEST(entry_sweep, int3_disturbed, "the same, with #DB, #BP and #PF in each NMI")
{
	sweep(PAYLOAD_INT3, ACT_ALL);
}

TEST(entry_sweep, interrupt, "NMI at every instruction around an interrupt, disturbed")
{
	sweep(PAYLOAD_IRQ, ACT_ALL);
}

TEST(entry_sweep, breakpoint, "NMI at every instruction around a #DB: all state kept")
{
	sweep(PAYLOAD_DEBUG, ACT_NONE);
}

TEST(entry_sweep, breakpoint_disturbed,
     "the same, with #DBs in each NMI: they spare the #DB that has not left its stack")
{
	sweep(PAYLOAD_DEBUG, ACT_ALL);
}

TEST(entry_sweep, breakpoint_changed, "the same, and each NMI sets another breakpoint, which is on at the end")
{
	sweep(PAYLOAD_DEBUG, ACT_BREAK);
	sweep(PAYLOAD_WATCH, ACT_BREAK);
	sweep(PAYLOAD_SPIN, ACT_BREAK);
}

TEST(entry_sweep, watch, "NMI at every instruction around a data breakpoint, disturbed")
{
	sweep(PAYLOAD_WATCH, ACT_ALL);
}

TEST(entry_sweep, watch_live, "the same, with the breakpoint on inside the NMIs")
{
	this_cpu_write64(hw_break_in_nmi, 1);
	sweep(PAYLOAD_WATCH, ACT_ALL);
	this_cpu_write64(hw_break_in_nmi, 0);
}

TEST(entry_sweep, watch_stack,
     "the same, with breakpoints on the stack words that the ways out read")
{
	stack_watched = true;
	sweep(PAYLOAD_WATCH, ACT_NONE);
	sweep(PAYLOAD_WATCH, ACT_ALL);
	sweep(PAYLOAD_INT3, ACT_ALL);
	sweep(PAYLOAD_IRQ, ACT_ALL);
	stack_watched = false;
}

TEST(entry_sweep, fault, "NMI at every instruction around a #PF, with #PFs in the NMI: CR2 kept")
{
	sweep(PAYLOAD_FAULT, ACT_ALL);
}

/* ---- a second NMI on the first one's way out ---- */
#define NMI_EXIT_LENGTH 25 /* from entry_nmi's return out of C to its IRET */

extern char payload_spin[];

/* The count with which the first NMI lands in the middle of the plain payload. */
static u32 count_into_spin(void)
{
	for (u32 k = 1; k < MAX_COUNT && !behind_end; k++) {
		sweep_one(PAYLOAD_SPIN, k);
		if (last_rip - (u64)payload_spin - 200 < 60)
			return k;
	}
	return 0;
}

static void sweep_second(bool exact)
{
	u32 first = exact ? count_into_spin() : 0;
	u32 runs = exact ? MAX_COUNT : SAMPLE_RUNS;

	REQUIRE(!exact || first);
	distinct = in_entry = nmis = 0;
	memset(hit, 0, sizeof(hit));
	for (u32 k = 1; k < runs; k++) {
		second_nmi = exact ? k : sample_count(k * 31) / 4;
		if (!sweep_one(PAYLOAD_SPIN, exact ? first : sample_count(k)))
			break;
		if (exact && run_nmis == 2 && last_rip - (u64)payload_spin < 1000)
			break; /* it has arrived behind the first one's IRET */
	}
}

TEST(entry_sweep, nmi_exit, "a second NMI at every instruction of the first one's way out")
{
	bool exact = clock_is_exact();

	sweep_begin(ACT_STEP | ACT_FAULT);
	set_nmi_hook(sweep_nmi);
	sweep_second(exact);
	sweep_end();
	test_note("%lu NMIs, %lu in entry code at %lu distinct addresses%s", nmis, in_entry,
		  distinct, exact ? ", every instruction" : " (a sample)");
	if (exact)
		EXPECT_EQ(distinct, NMI_EXIT_LENGTH);
}
