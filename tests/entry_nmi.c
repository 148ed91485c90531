/*
 * entry_nmi.c - an NMI whose handler is itself interrupted: by an NMI, a
 * breakpoint, a debug exception, a fault. All on CPU 0 with interrupts on or off
 * as the case says; hooks run in NMI and debug context.
 */
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/paging.h>
#include "arch/x86_64/private.h"
#include "kernel/hooks.h"
#include "tests/test.h"

#define SPINS 20000000
#define UNMAPPED ((void *)0xffffa00000000008UL)
#define UNMAPPED_2 ((void *)0xffffa00000777008UL)
#define MAX_NEST 8

/* Hook calls; DR6 hits among the traps. Written by the hooks. */
static volatile u64 nmis, traps, hits, last_dr6;

static bool count_trap(struct regs *r, u64 dr6)
{
	(void)r;
	traps++;
	if (dr6 & DR6_HITS)
		hits++;
	last_dr6 = dr6;
	return true;
}

static void hooks_begin(irq_hook_t nmi, trap_hook_t trap)
{
	nmis = traps = hits = 0;
	set_trap_hook(trap);
	set_nmi_hook(nmi);
}

static void hooks_end(void)
{
	set_nmi_hook(NULL);
	set_trap_hook(NULL);
	hook_sync();
}

/* Wait until *counter is at least n; bounded. */
static bool wait_for(const volatile u64 *counter, u64 n)
{
	for (u64 i = 0; i < SPINS; i++) {
		if (*counter >= n)
			return true;
		cpu_relax();
	}
	return false;
}

/* An NMI to this CPU, and wait until its hook has been called. */
static bool nmi_here(void)
{
	u64 n = nmis + 1;

	arch_send_nmi(smp_processor_id());
	return wait_for(&nmis, n);
}

static __noinline void breakpoint_target(void)
{
	__asm__ volatile("" : : : "memory");
}

static u64 watched_word;

static __noinline void touch_watched_word(void)
{
	WRITE_ONCE(watched_word, watched_word + 1);
}

/* ---- NMI inside NMI ---- */
static volatile u64 nest_level, nest_deepest, nest_bad, nest_last_sp;

static bool same_regs(const struct regs *a, const struct regs *b)
{
	const u64 *x = (const u64 *)a, *y = (const u64 *)b;

	for (unsigned int i = 0; i < sizeof(*a) / sizeof(u64); i++)
		if (x[i] != y[i])
			return false;
	return true;
}

/* Each level: an int3, whose IRET unblocks NMIs; an NMI; then all as it was. */
static void nest_hook(struct regs *r)
{
	struct regs saved = *r;
	u64 level = nest_level;

	nmis++;
	if (level >= MAX_NEST)
		return;
	if (level && (u64)r >= nest_last_sp)
		nest_bad++; /* not below the level it interrupted */
	nest_last_sp = (u64)r;
	nest_level = level + 1;
	if (nest_level > nest_deepest)
		nest_deepest = nest_level;
	__asm__ volatile("int3");
	if (!nmi_here())
		nest_bad++;
	nest_level = level;
	if (!same_regs(r, &saved))
		nest_bad++;
}

TEST(entry_nmi, nested_after_iret,
     "an IRET in an NMI handler lets the next NMI in, and both complete unharmed")
{
	u64 before = this_cpu_read64(irq_counts.nmi_nested);

	nest_level = nest_deepest = nest_bad = 0;
	hooks_begin(nest_hook, count_trap);
	EXPECT(nmi_here());
	hooks_end();
	EXPECT_EQ(nest_deepest, MAX_NEST);
	EXPECT_EQ(nest_level, 0);
	EXPECT_EQ(nest_bad, 0);
	EXPECT_EQ(traps, MAX_NEST);
	EXPECT_EQ(nmis, MAX_NEST + 1);
	EXPECT(this_cpu_read64(irq_counts.nmi_nested) - before >= MAX_NEST);
}

static volatile u64 blocked_early;

static void blocked_hook(struct regs *r)
{
	(void)r;
	nmis++;
	if (nmis > 1)
		return;
	arch_send_nmi(smp_processor_id());
	for (u64 i = 0; i < 20000; i++)
		cpu_relax();
	blocked_early = nmis - 1;
}

TEST(entry_nmi, blocked_without_iret,
     "an NMI in an NMI handler without an IRET waits, and comes when it returns")
{
	blocked_early = 0;
	hooks_begin(blocked_hook, count_trap);
	arch_send_nmi(smp_processor_id());
	EXPECT(wait_for(&nmis, 2));
	hooks_end();
	EXPECT_EQ(blocked_early, 0);
}

/* ---- breakpoints inside NMIs ---- */
static void target_hook(struct regs *r)
{
	(void)r;
	breakpoint_target();
	touch_watched_word();
	nmis++;
}

/* An NMI inside the debug exception; the int3's IRET lets it in. */
static bool nmi_in_trap(struct regs *r, u64 dr6)
{
	bool handled = count_trap(r, dr6);

	if (dr6 & DR6_HITS && traps == 1) {
		__asm__ volatile("int3");
		EXPECT(nmi_here());
	}
	return handled;
}

/* Interrupts are off meanwhile: an emulator that returns from one to the instruction with
 * the breakpoint may pass over it (2 in 300,000 times). */
static u64 irq_were;

static void breakpoints_set(void)
{
	irq_were = arch_irq_save();
	EXPECT_EQ(arch_hw_break_set(0, (void *)breakpoint_target, HW_BREAK_EXEC, 1), 0);
	EXPECT_EQ(arch_hw_break_set(1, &watched_word, HW_BREAK_WRITE, 8), 0);
}

static void breakpoints_clear(void)
{
	arch_hw_break_clear(0);
	arch_hw_break_clear(1);
	arch_irq_restore(irq_were);
}

TEST(entry_nmi, breakpoints_pause,
     "breakpoints do not hit inside an NMI, and are back after it")
{
	u64 dr7;

	hooks_begin(target_hook, count_trap);
	breakpoints_set();
	dr7 = READ_SYSREG(dr7);
	EXPECT(nmi_here());
	EXPECT_EQ(hits, 0);
	EXPECT_EQ(READ_SYSREG(dr7), dr7);
	breakpoint_target();
	EXPECT_EQ(hits, 1);
	touch_watched_word();
	EXPECT_EQ(hits, 2);
	breakpoints_clear();
	breakpoint_target();
	touch_watched_word();
	EXPECT_EQ(hits, 2);
	hooks_end();
}

TEST(entry_nmi, breakpoint_inside,
     "a hardware breakpoint inside an NMI handler hits once each time, and does not re-arm")
{
	hooks_begin(target_hook, count_trap);
	breakpoints_set();
	this_cpu_write64(hw_break_in_nmi, 1);
	EXPECT(nmi_here());
	EXPECT_EQ(hits, 2); /* the instruction, the word */
	EXPECT(nmi_here());
	EXPECT_EQ(hits, 4);
	this_cpu_write64(hw_break_in_nmi, 0);
	breakpoints_clear();
	hooks_end();
}

TEST(entry_nmi, nmi_in_debug_in_nmi,
     "an NMI inside a #DB inside an NMI: each returns to where it came from")
{
	hooks_begin(target_hook, nmi_in_trap);
	breakpoints_set();
	this_cpu_write64(hw_break_in_nmi, 1);
	EXPECT(nmi_here());
	EXPECT_EQ(nmis, 2);
	this_cpu_write64(hw_break_in_nmi, 0);
	EXPECT_EQ(this_cpu_read64(entry_cpu.dr7_paused), 0);
	EXPECT_EQ(hits, 2); /* the inner NMI runs with breakpoints paused by the #DB */
	breakpoints_clear();
	hooks_end();
}

static bool target_in_trap(struct regs *r, u64 dr6)
{
	bool handled = count_trap(r, dr6);

	breakpoint_target();
	return handled;
}

TEST(entry_nmi, breakpoint_in_debug,
     "a breakpoint does not hit inside a #DB handler, and is armed after it")
{
	hooks_begin(NULL, target_in_trap);
	breakpoints_set();
	breakpoint_target();
	EXPECT_EQ(traps, 1);
	breakpoint_target();
	EXPECT_EQ(traps, 2);
	breakpoints_clear();
	hooks_end();
}

static bool disarm_in_trap(struct regs *r, u64 dr6)
{
	arch_hw_break_clear(0);
	return count_trap(r, dr6);
}

TEST(entry_nmi, one_shot, "a #DB handler may take its own breakpoint away")
{
	u64 flags;

	hooks_begin(NULL, disarm_in_trap);
	flags = arch_irq_save(); /* as in breakpoints_set */
	EXPECT_EQ(arch_hw_break_set(0, (void *)breakpoint_target, HW_BREAK_EXEC, 1), 0);
	breakpoint_target();
	breakpoint_target();
	EXPECT_EQ(hits, 1);
	EXPECT_EQ(READ_SYSREG(dr7) & 0xff, 0);
	arch_irq_restore(flags);
	hooks_end();
}

/* ---- what the interrupted context has in CR2 and DR6 ---- */
static volatile u64 probe_bad;

static void fault_hook(struct regs *r)
{
	u64 v;

	(void)r;
	if (arch_probe_read64(UNMAPPED_2, &v) || READ_SYSREG(cr2) != (u64)UNMAPPED_2)
		probe_bad++;
	nmis++;
}

static bool fault_in_trap(struct regs *r, u64 dr6)
{
	u64 v;

	if (arch_probe_read64(UNMAPPED_2, &v))
		probe_bad++;
	return count_trap(r, dr6);
}

TEST(entry_nmi, cr2_kept, "a fault inside an NMI or a #DB leaves the interrupted CR2")
{
	u64 v, flags;

	probe_bad = 0;
	hooks_begin(fault_hook, fault_in_trap);
	flags = arch_irq_save(); /* interrupt handlers may fault, and owe CR2 to nobody */
	EXPECT(!arch_probe_read64(UNMAPPED, &v));
	EXPECT_EQ(READ_SYSREG(cr2), UNMAPPED);
	EXPECT(nmi_here());
	EXPECT_EQ(READ_SYSREG(cr2), UNMAPPED);
	breakpoints_set();
	touch_watched_word();
	EXPECT_EQ(hits, 1);
	EXPECT_EQ(READ_SYSREG(cr2), UNMAPPED);
	breakpoints_clear();
	arch_irq_restore(flags);
	EXPECT_EQ(probe_bad, 0);
	hooks_end();
}

TEST(entry_nmi, dr6_kept, "a #DB inside an NMI leaves the interrupted DR6, and sees its own only")
{
	hooks_begin(target_hook, count_trap);
	breakpoints_set();
	this_cpu_write64(hw_break_in_nmi, 1);
	WRITE_SYSREG(dr6, DR6_CLEAR | 1 << 14 | 4); /* as if a #DB were about to read it */
	EXPECT(nmi_here());
	EXPECT_EQ(hits, 2);
	EXPECT_EQ(last_dr6, 2); /* the word: slot 1 */
	EXPECT_EQ(READ_SYSREG(dr6) & DR6_ACTIVE_HIGH, 1 << 14 | 4);
	WRITE_SYSREG(dr6, DR6_CLEAR);
	this_cpu_write64(hw_break_in_nmi, 0);
	breakpoints_clear();
	hooks_end();
}

TEST(entry_nmi, breakpoints_refused,
     "no breakpoint where an entry has not left its IST stack, nor with bad arguments")
{
	const struct entry_cpu *ec = this_cpu_ptr(entry_cpu);
	u64 ist = ec->tss.ist[IST_NMI - 1], last = (u64)__entry_text_end - 1;

	EXPECT_EQ(arch_hw_break_set(0, __entry_text_start, HW_BREAK_EXEC, 1), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(0, (void *)last, HW_BREAK_EXEC, 1), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(0, (void *)(ist - 8), HW_BREAK_RW, 8), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(0, (void *)(ist - IST_STACK_SIZE), HW_BREAK_RW, 8), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(0, &ec->dr7_paused, HW_BREAK_WRITE, 8), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(0, idt, HW_BREAK_RW, 8), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(4, &watched_word, HW_BREAK_RW, 8), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(0, &watched_word, HW_BREAK_RW, 3), -EINVAL);
	EXPECT_EQ(arch_hw_break_set(0, (char *)&watched_word + 1, HW_BREAK_RW, 8), -EINVAL);
	EXPECT_EQ(READ_SYSREG(dr7) & 0xff, 0);
}
