/*
 * hwbreak.c - one breakpoint for instructions, as a debug register would be: an int3 is
 * written over the instruction. So code runs at full speed up to there, which by single
 * steps would take two signals each.
 *
 * Who hits it is given its instruction back, and the trap is served; if the breakpoint is
 * still set then, one single step takes it over the instruction, and the int3 comes back.
 * It is for the CPU that has set it, in NMIs only if that was asked for. Another CPU
 * that comes there tries again until it is gone: so the one that has set it must not
 * wait for the others (arch_hw_break_is_own).
 *
 * Invariant: the byte at planted.addr is an int3 if armed, else the instruction's; only
 * the CPU that has set it writes there, and one breakpoint is set at a time.
 */
#include <arch/debug.h>
#include <sys/mman.h>
#include "host.h"
#include "kernel/context.h"

#define INT3 0xcc

static struct {
	u8 *addr; /* NULL: none is set */
	u8 byte;  /* of the instruction */
	u64 cpu;
	bool armed, in_nmi, stepping;
} planted;

static void arm(bool on)
{
	WRITE_ONCE(*planted.addr, on ? INT3 : planted.byte);
	planted.armed = on;
}

int arch_hw_break_set(unsigned int slot, const void *addr, enum hw_break kind, unsigned int len)
{
	u64 page = (u64)addr & PAGE_MASK;

	(void)len;
	if (slot || kind != HW_BREAK_EXEC || !deliver_breakpoints())
		return -ENOSYS;
	if (host_syscall(SYS_mprotect, page, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, 0))
		return -ENOSYS;
	arch_hw_break_clear(0);
	planted.cpu = smp_processor_id();
	planted.byte = *(const u8 *)addr;
	planted.stepping = false;
	__atomic_store_n(&planted.addr, (u8 *)addr, __ATOMIC_RELEASE);
	arm(true);
	return 0;
}

void arch_hw_break_clear(unsigned int slot)
{
	if (slot || !planted.addr)
		return;
	arm(false);
	planted.stepping = false;
	__atomic_store_n(&planted.addr, NULL, __ATOMIC_RELEASE);
}

void arch_hw_break_in_nmi(bool on)
{
	planted.in_nmi = on;
}

bool arch_hw_break_is_own(void)
{
	return arch_nr_cpus_found() == 1;
}

/* Over the instruction, and then the int3 comes back. */
static void step_past(ucontext_t *uc)
{
	planted.stepping = true;
	uc->uc_mcontext.gregs[REG_EFL] |= RFLAGS_TF;
}

enum host_break host_break_hit(ucontext_t *uc)
{
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];
	const u8 *at = (const u8 *)*rip - 1;

	if (*at == INT3 && __atomic_load_n(&planted.addr, __ATOMIC_ACQUIRE) != at)
		return HOST_BREAK_NONE; /* an int3 of the code's own */
	*rip -= 1;
	if (planted.cpu != smp_processor_id() || planted.addr != at)
		return HOST_BREAK_AGAIN; /* another CPU's, or gone meanwhile */
	arm(false);
	if (!in_nmi() || planted.in_nmi)
		return HOST_BREAK_HIT;
	step_past(uc);
	return HOST_BREAK_STEP;
}

void host_break_served(ucontext_t *uc)
{
	if (planted.addr)
		step_past(uc);
}

bool host_break_stepped(ucontext_t *uc)
{
	if (!planted.stepping || planted.cpu != smp_processor_id())
		return false;
	planted.stepping = false;
	arm(true);
	uc->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)RFLAGS_TF;
	return true;
}
