/*
 * signal.c - signals as interrupts, NMIs and exceptions.
 *
 * A handler makes a struct regs of what it interrupted, calls the kernel as the entry
 * code of the machine does, and puts back what the kernel has changed of it: flags,
 * or where to go on. Which signal may come in the handler of which:
 *
 *	in \ comes   interrupt      NMI               breakpoint, step   fault
 *	interrupt    waits (1)      nests             nests              nests
 *	NMI          waits (1)      waits (2)         nests              nests
 *	breakpoint   waits (1)      nests             nests              nests
 *	fault        waits          waits             nests              nests, on its stack
 *
 * Interrupts and NMIs are passed on by deliver_now.c, or where that may not be by
 * deliver_later.c.
 *
 * (1) blocked, so that it comes when the handler has returned, with the registers of
 * what was really interrupted. irq_off is set as well, for who asks.
 * (2) as by the processor, and as there the return from a breakpoint lets it in.
 *
 * Handlers run on the stack that they interrupt; faults on one of their own.
 */
#include <arch/paging.h>
#include "host.h"
#include "kernel/panic.h"

/* What the kernel calls struct sigaction, and its set of 64 signals. */
struct kernel_sigaction {
	void (*handler)(int, siginfo_t *, void *);
	u64 flags;
	void (*restorer)(void);
	u64 mask;
};
#define SA_RESTORER 0x04000000UL
#define BIT(sig) (1UL << ((sig) - 1))

/* As the C library has it: debuggers know a handler's frame by these very bytes. */
void host_sigreturn(void);
__asm__(".pushsection .text\n"
	".balign 16\n"
	"	nop\n" /* who unwinds looks at the byte before the return address */
	".globl host_sigreturn\n"
	".type host_sigreturn, @function\n"
	"host_sigreturn: movq $15, %rax\n"
	"	syscall\n"
	".size host_sigreturn, . - host_sigreturn\n"
	".popsection\n");

struct extable_entry {
	u64 fault, fixup;
};
extern const struct extable_entry __start_extable[], __stop_extable[];

static void mask_change(int how, u64 set)
{
	host_syscall(SYS_rt_sigprocmask, (u64)how, (u64)&set, 0, sizeof(set));
}

void signals_block(bool block)
{
	mask_change(block ? SIG_BLOCK : SIG_UNBLOCK, BIT(SIG_IRQ) | BIT(SIG_NMI));
}

void signals_wait(void)
{
	u64 none = 0;

	host_syscall(SYS_rt_sigsuspend, (u64)&none, sizeof(none), 0, 0);
}

/* ---- registers ---- */

void regs_read(struct regs *r, const ucontext_t *uc, bool irqs_off)
{
	const greg_t *g = uc->uc_mcontext.gregs;

	*r = (struct regs){
		.r15 = (u64)g[REG_R15], .r14 = (u64)g[REG_R14], .r13 = (u64)g[REG_R13],
		.r12 = (u64)g[REG_R12], .r11 = (u64)g[REG_R11], .r10 = (u64)g[REG_R10],
		.r9 = (u64)g[REG_R9], .r8 = (u64)g[REG_R8], .rbp = (u64)g[REG_RBP],
		.rdi = (u64)g[REG_RDI], .rsi = (u64)g[REG_RSI], .rdx = (u64)g[REG_RDX],
		.rcx = (u64)g[REG_RCX], .rbx = (u64)g[REG_RBX], .rax = (u64)g[REG_RAX],
		.vector = (u64)g[REG_TRAPNO], .error = (u64)g[REG_ERR], .rip = (u64)g[REG_RIP],
		.cs = (u64)g[REG_CSGSFS] & 0xffff, .rsp = (u64)g[REG_RSP],
		.ss = (u64)g[REG_CSGSFS] >> 48,
		.rflags = ((u64)g[REG_EFL] & ~RFLAGS_IF) | (irqs_off ? 0 : RFLAGS_IF),
	};
}

/* Hooks change where and how it goes on, no more. */
void regs_write(const struct regs *r, ucontext_t *uc)
{
	greg_t *g = uc->uc_mcontext.gregs;

	g[REG_RIP] = (greg_t)r->rip;
	g[REG_EFL] = (greg_t)(r->rflags | RFLAGS_IF); /* the real one is always on */
}

/* ---- handlers ---- */

static void on_irq(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	if (info->si_code == SI_TIMER)
		irq_post_here(EV_TICK);
	deliver_irq(context);
}

static void on_nmi(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	deliver_nmi(context);
}

/*
 * Single steps in what is not ours (the C library, a sanitizer's runtime) are none of
 * the kernel's: there it would be one instruction, or not be there.
 */
static void on_trap(int sig, siginfo_t *info, void *context)
{
	bool irqs_off = arch_irqs_disabled(), step = info->si_code == TRAP_TRACE;
	ucontext_t *uc = context;
	struct regs r;

	(void)sig;
	regs_read(&r, uc, irqs_off);
	if (step && !arch_in_kernel_image((void *)r.rip))
		return;
	arch_irq_disable();
	trap_serve(&r, step);
	regs_write(&r, uc);
	sigdelset(&uc->uc_sigmask, SIG_NMI); /* see (2) above */
	if (!irqs_off)
		arch_irq_enable();
}

static bool fixup(ucontext_t *uc)
{
	greg_t *rip = &uc->uc_mcontext.gregs[REG_RIP];

	for (const struct extable_entry *e = __start_extable; e < __stop_extable; e++)
		if (e->fault == (u64)*rip) {
			*rip = (greg_t)e->fixup;
			return true;
		}
	return false;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	u64 address = (u64)uc->uc_mcontext.gregs[REG_CR2];
	struct regs r;

	(void)info;
	if ((sig == SIGSEGV || sig == SIGBUS) && fixup(uc))
		return;
	regs_read(&r, uc, arch_irqs_disabled());
	if (stack_is_guard(address))
		panic_regs(&r, "kernel stack overflow on CPU %u: access to the guard page at %lx",
			   smp_processor_id(), address);
	this_cpu_add64(irq_counts.other, 1);
	kernel_fatal_exception(&r, address);
}

/* By the system call: a sanitizer that wraps the library's would hold signals back. */
static void install(int sig, void (*handler)(int, siginfo_t *, void *), u64 flags, u64 mask)
{
	struct kernel_sigaction sa = {
		.handler = handler, .flags = SA_SIGINFO | SA_RESTORER | flags,
		.restorer = host_sigreturn, .mask = mask,
	};

	if (host_syscall(SYS_rt_sigaction, (u64)sig, (u64)&sa, 0, sizeof(sa.mask)))
		host_die("a signal has no handler");
}

void signals_install(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };

	install(SIG_IRQ, on_irq, SA_RESTART, BIT(SIG_IRQ));
	install(SIG_NMI, on_nmi, SA_RESTART, BIT(SIG_IRQ) | BIT(SIG_NMI));
	install(SIGTRAP, on_trap, SA_NODEFER, BIT(SIG_IRQ));
	for (unsigned int i = 0; i < ARRAY_SIZE(faults); i++)
		install(faults[i], on_fault, SA_NODEFER | SA_ONSTACK, BIT(SIG_IRQ) | BIT(SIG_NMI));
}
