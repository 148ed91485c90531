/*
 * gdt.c - each CPU's GDT, TSS and IST stacks, and its per-CPU area.
 *
 * Invariants: the GS base of a CPU is percpu_offset[its number] from before its
 * first possible interrupt, at every instruction, for ever: there is no user
 * mode and no swapgs, so no entry has to guess. TSS.IST of #DB is moved by the
 * NMI entry (entry.asm) and by nobody else.
 */
#include <arch/irq.h>
#include "lib/string.h"
#include "mm/early.h"
#include "private.h"

#define GDT_CODE64 0x00af9b000000ffffUL
#define GDT_DATA 0x00cf93000000ffffUL
#define TSS_AVAILABLE 0x89UL
#define PAT_RESET 0x0007040600070406UL /* what the page table bits here rely on */
#define CR4_MCE (1UL << 6)
#define CPUID_MCE (1u << 7)

/* entry.asm uses these. */
_Static_assert(offsetof(struct entry_cpu, dr7_paused) == 0, "entry.asm: EC_PAUSED");
_Static_assert(offsetof(struct entry_cpu, dr7) == 8, "entry.asm: EC_DR7");
_Static_assert(offsetof(struct entry_cpu, tss.ist[IST_DB - 1]) == 108, "entry.asm: EC_IST_DB");

DEFINE_PER_CPU(struct entry_cpu, entry_cpu);
DEFINE_PER_CPU(u64, percpu_self_offset);
DEFINE_PER_CPU(u32, cpu_number);
DEFINE_PER_CPU(struct irq_counts, irq_counts);
u64 percpu_offset[NR_CPUS];

static unsigned int cpus_prepared = 1;

/* Before there is memory: one stack for all. An NMI or a double fault in those
 * first instructions is reported by it; nothing nests there. */
void ist_stacks_boot(void)
{
	static char stack[4096] __aligned(16);

	for (unsigned int i = IST_NMI; i <= IST_MC; i++)
		entry_cpu.tss.ist[i - 1] = (u64)stack + sizeof(stack);
}

void ist_stacks_alloc(unsigned int cpu)
{
	struct tss *tss = &per_cpu_ptr(entry_cpu, cpu)->tss;

	for (unsigned int i = IST_NMI; i <= IST_MC; i++)
		tss->ist[i - 1] = (u64)stack_alloc_size(IST_STACK_SIZE);
}

/* The moved IST of #DB is still inside its stack: within its page from the top. */
bool ist_contains(u64 p)
{
	for (unsigned int cpu = 0; cpu < cpus_prepared; cpu++) {
		const struct tss *tss = &per_cpu_ptr(entry_cpu, cpu)->tss;

		for (unsigned int i = IST_NMI; i <= IST_MC; i++) {
			u64 top = (tss->ist[i - 1] + PAGE_SIZE - 1) & PAGE_MASK;

			if (p < top && p >= top - IST_STACK_SIZE)
				return true;
		}
	}
	return false;
}

void cpu_prepare(unsigned int cpu)
{
	u64 size = (u64)(__stop_percpu - __start_percpu);
	char *area = phys_to_virt(early_alloc(size, PAGE_SIZE));

	percpu_offset[cpu] = (u64)area - (u64)__start_percpu;
	*per_cpu_ptr(percpu_self_offset, cpu) = percpu_offset[cpu];
	*per_cpu_ptr(cpu_number, cpu) = cpu;
	ist_stacks_alloc(cpu);
	if (cpu >= cpus_prepared)
		cpus_prepared = cpu + 1;
}

static void gdt_fill(struct entry_cpu *ec)
{
	u64 base = (u64)&ec->tss;

	ec->gdt[KERNEL_CS / 8] = GDT_CODE64;
	ec->gdt[KERNEL_DS / 8] = GDT_DATA;
	ec->gdt[KERNEL_TSS / 8] = (sizeof(struct tss) - 1) | (base & 0xffffff) << 16 |
				  TSS_AVAILABLE << 40 | (base >> 24 & 0xff) << 56;
	ec->gdt[KERNEL_TSS / 8 + 1] = base >> 32;
	ec->tss.iomap = sizeof(struct tss);
}

static void gdt_load(struct entry_cpu *ec)
{
	struct {
		u16 limit;
		u64 base;
	} __packed ptr = { sizeof(ec->gdt) - 1, (u64)ec->gdt };

	__asm__ volatile("lgdt %0\n\t"
			 "pushq %1\n\t"
			 "leaq 1f(%%rip), %%rax\n\t"
			 "pushq %%rax\n\t"
			 "lretq\n"
			 "1:\tmovl %2, %%eax\n\t"
			 "movl %%eax, %%ds\n\t"
			 "movl %%eax, %%es\n\t"
			 "movl %%eax, %%ss\n\t"
			 "xorl %%eax, %%eax\n\t"
			 "movl %%eax, %%fs\n\t"
			 "movl %%eax, %%gs"
			 : : "m"(ptr), "i"(KERNEL_CS), "i"(KERNEL_DS) : "rax", "memory");
}

void cpu_tables_load(unsigned int cpu)
{
	struct entry_cpu *ec = per_cpu_ptr(entry_cpu, cpu);
	u64 cr4 = CR4_PAE | CR4_PGE;

	if (cpuid(1, 0).edx & CPUID_MCE)
		cr4 |= CR4_MCE;
	gdt_fill(ec);
	gdt_load(ec);
	wrmsr(MSR_GS_BASE, percpu_offset[cpu]); /* loading gs has set it to 0 */
	__asm__ volatile("ltr %w0" : : "r"(KERNEL_TSS));
	idt_load(idt);
	WRITE_SYSREG(cr0, (READ_SYSREG(cr0) & ~(CR0_EM | CR0_TS | CR0_AM)) | CR0_WP | CR0_NE | CR0_MP);
	WRITE_SYSREG(cr4, cr4);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	wrmsr(MSR_PAT, PAT_RESET);
	WRITE_SYSREG(dr7, 0);
	WRITE_SYSREG(dr6, DR6_CLEAR);
}
