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

/*
 * How handlers go back. As the C library has it: debuggers know a handler's frame by
 * the very bytes of the last two instructions.
 *
 * Interrupts go through irq_entry and back through irq_sigreturn. What an NMI does on
 * top of the handler must end a restartable sequence below it, also where the handler
 * has found interrupts off and served nothing: on the machine it would not have been
 * there. So the last look at irq_frame_stale and the return are a restartable sequence
 * themselves: an NMI in them makes it look again. (host_sigreturn has returned from
 * irq_entry; the return address is still there, below the stack pointer.)
 */
void host_sigreturn(void);
void irq_sigreturn(void);
void irq_entry(int sig, siginfo_t *info, void *context);
#define SIGRETURN(name) \
	".balign 16\n" \
	"	nop\n" /* who unwinds looks at the byte before the return address */ \
	".globl " name "\n" \
	".type " name ", @function\n" \
	name ":	movq $15, %rax\n" \
	"	syscall\n" \
	".size " name ", . - " name "\n"
__asm__(".pushsection .text\n"
	SIGRETURN("host_sigreturn")
	SIGRETURN("irq_sigreturn")
	"2:\n"
	".globl irq_entry\n"
	".type irq_entry, @function\n"
	"irq_entry: subq $8, %rsp\n"
	"	call on_irq\n"
	"	addq $8, %rsp\n"
	"3:	cmpq $0, %gs:irq_frame_stale\n"
	"	jne 5f\n"
	"	ret\n"
	"4:	subq $8, %rsp\n"
	"	jmp 3b\n"
	"5:	leaq 8(%rsp), %rdi\n"
	"	subq $8, %rsp\n"
	"	call irq_frame_fix\n"
	"	addq $8, %rsp\n"
	"	jmp 3b\n"
	".size irq_entry, . - irq_entry\n"
	".popsection\n"
	".pushsection rseq, \"a\"\n"
	".balign 8\n"
	".quad 3b, 4b, 3b\n"
	".quad irq_sigreturn - 1, 2b, 4b\n" /* its first instruction too: the look is behind it */
	".popsection\n");

struct extable_entry {
	u64 fault, fixup;
};
extern const struct extable_entry __start_extable[], __stop_extable[];

DEFINE_PER_CPU(u64, irq_frame_stale);

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

void signals_wait_nmi(void)
{
	u64 irq = BIT(SIG_IRQ);

	host_syscall(SYS_rt_sigsuspend, (u64)&irq, sizeof(irq), 0, 0);
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

/* Called by irq_entry, and so is the next. */
void on_irq(int sig, siginfo_t *info, void *context);
void on_irq(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	if (info->si_code == SI_TIMER)
		irq_post_here(EV_TICK);
	deliver_irq(context);
}

/* A sequence that was interrupted there starts again. */
static void sequence_fix(ucontext_t *uc)
{
	struct regs r;

	regs_read(&r, uc, arch_irqs_disabled());
	rseq_fixup(&r);
	regs_write(&r, uc);
}

void irq_frame_fix(ucontext_t *uc);
void irq_frame_fix(ucontext_t *uc)
{
	this_cpu_write64(irq_frame_stale, 0);
	sequence_fix(uc);
}

static void on_nmi(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	deliver_nmi(context);
}

static void on_trap(int sig, siginfo_t *info, void *context)
{
	bool irqs_off = arch_irqs_disabled(), step = info->si_code == TRAP_TRACE, waits;
	ucontext_t *uc = context;
	enum host_break hit;
	struct regs r;

	(void)sig;
	if (step && (host_break_stepped(uc) || step_over(uc)))
		return;
	hit = step ? HOST_BREAK_NONE : host_break_hit(uc);
	if (hit == HOST_BREAK_STEP)
		return;
	if (hit == HOST_BREAK_AGAIN) {
		sequence_fix(uc); /* an NMI may have come on top of us */
		return;
	}
	regs_read(&r, uc, irqs_off);
	arch_irq_disable();
	trap_serve(&r, step);
	regs_write(&r, uc);
	if (hit == HOST_BREAK_HIT)
		host_break_served(uc);
	step_go_on(uc);
	sigdelset(&uc->uc_sigmask, SIG_NMI); /* see (2) above */
	if (irqs_off)
		return;
	waits = deliver_waits();
	arch_irq_enable();
	if (waits) /* deliver_later.c has served it in here, on top of what was interrupted */
		sequence_fix(uc);
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
		.restorer = sig == SIG_IRQ ? irq_sigreturn : host_sigreturn, .mask = mask,
	};

	if (host_syscall(SYS_rt_sigaction, (u64)sig, (u64)&sa, 0, sizeof(sa.mask)))
		host_die("a signal has no handler");
}

void signals_install(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };

	install(SIG_IRQ, irq_entry, SA_RESTART, BIT(SIG_IRQ));
	install(SIG_NMI, on_nmi, SA_RESTART, BIT(SIG_IRQ) | BIT(SIG_NMI));
	install(SIGTRAP, on_trap, SA_NODEFER, BIT(SIG_IRQ));
	for (unsigned int i = 0; i < ARRAY_SIZE(faults); i++)
		install(faults[i], on_fault, SA_NODEFER | SA_ONSTACK, BIT(SIG_IRQ) | BIT(SIG_NMI));
}
