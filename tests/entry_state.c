/*
 * entry_state.c - see entry_state.h. The payloads are assembler, as C cannot say
 * what is in which register; for the same reason they keep what they see in
 * static memory. Thread context of one CPU, not reentrant.
 */
#include <arch/irq.h>
#include "arch/x86_64/private.h"
#include "kernel/context.h"
#include "tests/entry_state.h"
#include "tests/test.h"

/* CF PF AF ZF SF DF OF and bit 1: all that may be set without consequences. */
#define FLAGS_PATTERN 0xcd7UL
#define NR_GPR 15

const char *const payload_names[NR_PAYLOAD] = {
	"int3", "interrupt", "instruction breakpoint", "data breakpoint", "page fault",
	"plain code",
};

/* In the order of REGS below; the last one is the address that faults. */
const u64 payload_pattern[NR_GPR] = {
	0x1101010101010101, 0x2202020202020202, 0x3303030303030303, 0x4404040404040404,
	0x5505050505050505, 0x6606060606060606, 0x7707070707070707, 0x8808080808080808,
	0x9909090909090909, 0xaa0a0a0a0a0a0a0a, 0xbb0b0b0b0b0b0b0b, 0xcc0c0c0c0c0c0c0c,
	0xdd0d0d0d0d0d0d0d, 0xee0e0e0e0e0e0e0e, PAYLOAD_FAULT_ADDR,
};
u64 payload_seen[NR_GPR];
u64 payload_rsp[2], payload_flags, payload_watched;

#define REGS(op) \
	op(0, "rax") op(8, "rbx") op(16, "rcx") op(24, "rdx") op(32, "rsi") op(40, "rdi") \
	op(48, "rbp") op(56, "r8") op(64, "r9") op(72, "r10") op(80, "r11") op(88, "r12") \
	op(96, "r13") op(104, "r14") op(112, "r15")
#define LOAD(off, reg) "movq payload_pattern+" #off "(%rip), %" reg "\n"
#define SAVE(off, reg) "movq %" reg ", payload_seen+" #off "(%rip)\n"
#define PAYLOAD(name, code) \
	".globl " name "\n" name ":\n" \
	"pushq %rbx\n pushq %rbp\n pushq %r12\n pushq %r13\n pushq %r14\n pushq %r15\n" \
	REGS(LOAD) \
	"movq %rsp, payload_rsp(%rip)\n" \
	"pushq $0xcd7\n popfq\n" \
	code \
	REGS(SAVE) \
	"movq %rsp, payload_rsp+8(%rip)\n" \
	"pushfq\n popq payload_flags(%rip)\n cld\n" \
	"popq %r15\n popq %r14\n popq %r13\n popq %r12\n popq %rbp\n popq %rbx\n" \
	"ret\n"

void payload_int3(void);
void payload_irq(void);
void payload_debug(void);
void payload_watch(void);
void payload_fault(void);
void payload_spin(void);

__asm__(".pushsection .text\n"
	PAYLOAD("payload_int3", "int3\n")
	PAYLOAD("payload_irq", "int $0xf7\n") /* VEC_CALL */
	PAYLOAD("payload_debug", ".globl payload_debug_insn\n payload_debug_insn: nop\n")
	PAYLOAD("payload_watch", "movq %rax, payload_watched(%rip)\n")
	PAYLOAD("payload_fault", "1: movq (%r15), %r15\n 2:\n")
	PAYLOAD("payload_spin", ".rept 40\n lea (%rax), %rax\n .endr\n")
	".popsection\n"
	".pushsection extable, \"a\"\n .quad 1b, 2b\n .popsection\n");

static const struct {
	void (*run)(void);
} payloads[NR_PAYLOAD] = {
	{ payload_int3 },  { payload_irq },   { payload_debug },
	{ payload_watch }, { payload_fault }, { payload_spin },
};

#define DR7_FIXED 0x400UL /* reads as 1 */
#define DR7_SLOT3 0xf00000c0UL /* an NMI may have set that breakpoint */

static u64 db_stack;
static u64 dr7, dr7_after, dr7_wanted;
static u64 depth;

void payload_run(enum payload p)
{
	u64 flags = arch_irq_save();

	db_stack = this_cpu_ptr(entry_cpu)->tss.ist[IST_DB - 1];
	dr7 = READ_SYSREG(dr7);
	depth = this_cpu_read64(context_depth);
	WRITE_SYSREG(cr2, 0);
	payloads[p].run();
	do { /* an NMI in between changes both */
		dr7_wanted = this_cpu_read64(entry_cpu.dr7);
		dr7_after = READ_SYSREG(dr7) & ~DR7_FIXED;
	} while (this_cpu_read64(entry_cpu.dr7) != dr7_wanted);
	arch_irq_restore(flags);
}

/* One value that should be another: reported, counted. */
static unsigned int differs(enum payload p, const char *what, u64 is, u64 should)
{
	if (is == should)
		return 0;
	test_fail(__FILE__, __LINE__, "%s after %s: %lx, was %lx", what, payload_names[p], is,
		  should);
	return 1;
}

unsigned int payload_check(enum payload p)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < NR_GPR; i++)
		n += differs(p, "a general register", payload_seen[i], payload_pattern[i]);
	n += differs(p, "rflags", payload_flags, FLAGS_PATTERN);
	n += differs(p, "rsp", payload_rsp[1], payload_rsp[0]);
	n += differs(p, "GS base", rdmsr(MSR_GS_BASE), percpu_offset[smp_processor_id()]);
	n += differs(p, "DR7", READ_SYSREG(dr7) & ~DR7_SLOT3, dr7 & ~DR7_SLOT3);
	n += differs(p, "DR7, which an NMI may have changed,", dr7_after, dr7_wanted);
	n += differs(p, "breakpoint pause count", this_cpu_read64(entry_cpu.dr7_paused), 0);
	n += differs(p, "top of the #DB stack", this_cpu_ptr(entry_cpu)->tss.ist[IST_DB - 1],
		     db_stack);
	n += differs(p, "context depth", this_cpu_read64(context_depth), depth);
	n += differs(p, "CR2", READ_SYSREG(cr2), p == PAYLOAD_FAULT ? PAYLOAD_FAULT_ADDR : 0);
	return n;
}
