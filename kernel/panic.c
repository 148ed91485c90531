/*
 * panic.c - the end of the kernel, told in full.
 *
 * Invariant: `owner` goes from 0 to 1 + CPU once, by one compare-and-swap; that
 * CPU alone ends the machine, by its report or by a regular exit. Every other CPU
 * stops in the NMI that the owner sends, or in its own panic. A panic inside the
 * owner's panic says so in a line and ends. Any context; waits for no lock, and for
 * the other CPUs only a bounded time.
 */
#include "kernel/panic.h"
#include <anyctx/smp.h>
#include <arch/debug.h>
#include <arch/irq.h>
#include <arch/machine.h>
#include "kernel/context.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/mm.h"

#define STOP_POLLS 20000000
#define MAX_FRAMES 24
#define SYMBOL_SIZE 96

static u32 owner;
static unsigned int depth; /* of panics on the owner */
static u64 stopped;        /* bit for each CPU that has stopped */
static bool mm_usable;
static DEFINE_PER_CPU(u64, stopped_at);

void panic_mm_is_up(void)
{
	mm_usable = true;
}

static void __noreturn stop_here(u64 rip)
{
	u64 bit = 1UL << smp_processor_id();

	if (!(__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) & bit)) /* else the NMI found it stopped */
		this_cpu_write64(stopped_at, rip);
	__atomic_fetch_or(&stopped, bit, __ATOMIC_RELEASE);
	arch_stop();
}

bool panic_nmi(struct regs *r)
{
	u32 o = __atomic_load_n(&owner, __ATOMIC_ACQUIRE);

	if (!o)
		return false;
	if (o != smp_processor_id() + 1)
		stop_here(r->rip);
	return true;
}

static void stop_others(void)
{
	u64 rest = __atomic_load_n(&cpu_online_mask, __ATOMIC_SEQ_CST) & ~(1UL << smp_processor_id());

	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++)
		if (rest >> cpu & 1)
			arch_send_nmi(cpu);
	for (unsigned int i = 0; i < STOP_POLLS; i++) {
		if ((__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) & rest) == rest)
			return;
		cpu_relax();
	}
}

static void print_others(void)
{
	char symbol[SYMBOL_SIZE];

	for (unsigned int cpu = 0; cpu < num_possible_cpus(); cpu++) {
		if (cpu == smp_processor_id())
			continue;
		if (!cpu_online(cpu)) {
			printk("  CPU %u is offline\n", cpu);
			continue;
		}
		if (!(__atomic_load_n(&stopped, __ATOMIC_ACQUIRE) >> cpu & 1)) {
			printk("  CPU %u did not stop\n", cpu);
			continue;
		}
		print_symbol(symbol, sizeof(symbol), *per_cpu_ptr(stopped_at, cpu));
		printk("  CPU %u stopped at %s%s\n", cpu, symbol,
		       mm_in_text(*per_cpu_ptr(stopped_at, cpu)) ? ", in the allocator" : "");
	}
}

/* A return address at a function's very start belongs to the one before it, whose
 * last instruction is a call that does not return. */
static void print_return_symbol(char *buf, size_t size, u64 addr)
{
	const char *plus;

	print_symbol(buf, size, addr);
	plus = strchr(buf, '+');
	if (plus && !strncmp(plus, "+0x0/", 5))
		print_symbol(buf, size, addr - 1);
}

/* called: pc is a return address as well. */
static void print_frames(u64 pc, u64 rbp, bool called)
{
	u64 at[MAX_FRAMES];
	unsigned int n = arch_backtrace(pc, rbp, at, MAX_FRAMES);
	char symbol[SYMBOL_SIZE];

	printk("backtrace:\n");
	for (unsigned int i = 0; i < n; i++) {
		if (i || called)
			print_return_symbol(symbol, sizeof(symbol), at[i]);
		else
			print_symbol(symbol, sizeof(symbol), at[i]);
		printk("  %016lx %s\n", at[i], symbol);
	}
}

void print_backtrace(u64 pc, u64 rbp)
{
	print_frames(pc, rbp, false);
}

/* Those of panic() are its caller's, and it may be the last that the caller calls. */
void print_regs(const struct regs *r)
{
	char symbol[SYMBOL_SIZE], trap[48] = "";

	if (r->vector == NO_VECTOR)
		print_return_symbol(symbol, sizeof(symbol), r->rip);
	else
		print_symbol(symbol, sizeof(symbol), r->rip);
	if (r->vector != NO_VECTOR)
		snprintf(trap, sizeof(trap), " vector %lu error %lx", r->vector, r->error);
	printk("rip %016lx %s\n"
	       "rsp %016lx rbp %016lx rflags %lx cs %lx ss %lx%s\n",
	       r->rip, symbol, r->rsp, r->rbp, r->rflags, r->cs, r->ss, trap);
	printk("rax %016lx rbx %016lx rcx %016lx rdx %016lx\n"
	       "rsi %016lx rdi %016lx r8  %016lx r9  %016lx\n",
	       r->rax, r->rbx, r->rcx, r->rdx, r->rsi, r->rdi, r->r8, r->r9);
	printk("r10 %016lx r11 %016lx r12 %016lx r13 %016lx\n"
	       "r14 %016lx r15 %016lx\n",
	       r->r10, r->r11, r->r12, r->r13, r->r14, r->r15);
}

void kernel_exit(int status)
{
	u32 free = 0;

	printk_flush();
	arch_irq_disable();
	/* A panic that came first is told, whatever this CPU thinks of the result. */
	if (!__atomic_compare_exchange_n(&owner, &free, smp_processor_id() + 1, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		stop_here((u64)__builtin_return_address(0));
	arch_exit(status);
}

/* A panic in the panic: what it says, no more, and out. */
static void __noreturn give_up(const char *message)
{
	if (depth == 2) {
		printk_panic_mode();
		printk("panic in panic on CPU %u: %s\n", smp_processor_id(), message);
	}
	arch_exit(EXIT_PANIC);
}

/* Returns on the one CPU that is to report. */
static void claim(const char *message, u64 pc)
{
	u32 me = smp_processor_id() + 1, was = 0;

	if (!__atomic_compare_exchange_n(&owner, &was, me, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
		if (was != me) {
			printk("panic on CPU %u as well: %s\n", me - 1, message);
			stop_here(pc);
		}
		depth++;
		give_up(message);
	}
	depth = 1;
}

/* The innermost call of the allocator that this CPU is in, if it is in any. */
static void print_mm_call(const struct regs *r)
{
	u64 at[MAX_FRAMES];
	unsigned int n = arch_backtrace(r->rip, r->rbp, at, MAX_FRAMES), from = 0, end;
	char in[SYMBOL_SIZE], by[SYMBOL_SIZE] = "?";

	while (from < n && !mm_in_text(at[from]))
		from++;
	if (from == n) {
		printk("this CPU is not in the allocator\n");
		return;
	}
	for (end = from + 1; end < n && mm_in_text(at[end]);)
		end++;
	print_symbol(in, sizeof(in), at[from]);
	if (end < n)
		print_symbol(by, sizeof(by), at[end]);
	printk("this CPU is in the allocator: at %s, called by %s\n", in, by);
}

static void print_mm(const struct regs *r)
{
	print_mm_call(r);
	mm_print_state();
}

static void __noreturn die(const struct regs *r, const char *message)
{
	arch_irq_disable();
	claim(message, r->rip);
	stop_others();
	printk_panic_mode();
	printk("\nPANIC on CPU %u in %s context: %s\n", smp_processor_id(),
	       context_name(current_context()), message);
	print_regs(r);
	print_frames(r->rip, r->rbp, r->vector == NO_VECTOR);
	print_others();
	if (mm_usable)
		print_mm(r);
	printk("end of panic\n");
	arch_exit(EXIT_PANIC);
}

void panic(const char *fmt, ...)
{
	const u64 *frame = __builtin_frame_address(0);
	char message[384];
	struct regs r;
	va_list ap;

	arch_regs_capture(&r);
	r.rip = frame[1];
	r.rbp = frame[0];
	r.rsp = (u64)&frame[2];
	if (arch_irqs_disabled())
		r.rflags &= ~RFLAGS_IF;
	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	die(&r, message);
}

void panic_regs(struct regs *r, const char *fmt, ...)
{
	char message[384];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	die(r, message);
}

static const char *exception_name(u64 vector)
{
	static const char *const names[32] = {
		[0] = "division error", [1] = "debug exception nobody asked for", [2] = "NMI",
		[3] = "breakpoint nobody set", [4] = "overflow", [5] = "bound range",
		[6] = "invalid opcode", [7] = "no FPU", [8] = "double fault", [10] = "invalid TSS",
		[11] = "segment not present", [12] = "stack fault", [13] = "general protection",
		[14] = "page fault", [16] = "FPU error", [17] = "alignment check",
		[18] = "machine check", [19] = "SIMD error", [21] = "control protection",
	};

	return vector < 32 && names[vector] ? names[vector] : "unknown exception";
}

void kernel_fatal_exception(struct regs *r, u64 cr2)
{
	if (r->vector != 14)
		panic_regs(r, "%s (vector %lu, error %lx)", exception_name(r->vector), r->vector, r->error);
	panic_regs(r, "page fault: %s address %016lx (%s)",
		   r->error & 16 ? "execution at" : r->error & 2 ? "write to" : "read of", cr2,
		   r->error & 1 ? "not permitted" : "not mapped");
}
