/*
 * x86.h - what the files of arch/x86_64 share with each other and with nobody
 * else: instructions C has no words for, vector numbers, and the calls between
 * the entry part (setup, paging, descriptor tables, traps) and the devices part
 * (ACPI, APICs, timers, starting CPUs).
 */
#ifndef X86_H
#define X86_H

#include <anyctx/config.h>
#include <anyctx/percpu.h>
#include <arch/cpu.h>

/* ---- instructions ---- */
static __always_inline void outb(u16 port, u8 v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port));
}

static __always_inline void outw(u16 port, u16 v)
{
	__asm__ volatile("outw %0, %1" : : "a"(v), "Nd"(port));
}

static __always_inline void outl(u16 port, u32 v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port));
}

static __always_inline u8 inb(u16 port)
{
	u8 v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static __always_inline u16 inw(u16 port)
{
	u16 v;

	__asm__ volatile("inw %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static __always_inline u32 inl(u16 port)
{
	u32 v;

	__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port));
	return v;
}

static __always_inline u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static __always_inline void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

struct cpuid {
	u32 eax, ebx, ecx, edx;
};

static __always_inline struct cpuid cpuid(u32 leaf, u32 sub)
{
	struct cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
			 : "a"(leaf), "c"(sub));
	return r;
}

/* READ_SYSREG(cr2), WRITE_SYSREG(dr7, v): control and debug registers by name. */
#define READ_SYSREG(reg) ({ \
	u64 __v; \
	__asm__ volatile("mov %%" #reg ", %0" : "=r"(__v) : : "memory"); \
	__v; })
#define WRITE_SYSREG(reg, v) \
	__asm__ volatile("mov %0, %%" #reg : : "r"((u64)(v)) : "memory")

#define MSR_APIC_BASE 0x1b
#define MSR_PAT 0x277
#define MSR_EFER 0xc0000080
#define MSR_GS_BASE 0xc0000101
#define EFER_LME (1UL << 8)
#define EFER_NXE (1UL << 11)
#define CR0_MP (1UL << 1)
#define CR0_EM (1UL << 2)
#define CR0_TS (1UL << 3)
#define CR0_NE (1UL << 5)
#define CR0_WP (1UL << 16)
#define CR0_AM (1UL << 18)
#define CR4_PGE (1UL << 7)
#define CR4_PAE (1UL << 5)

/* ---- the numbers ---- */
#define KERNEL_VMA 0xffffffff80000000UL /* kernel image: this + physical address */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define KERNEL_TSS 0x18

enum vector {
	VEC_DB = 1, VEC_NMI = 2, VEC_BP = 3, VEC_DF = 8, VEC_GP = 13, VEC_PF = 14, VEC_MC = 18,
	VEC_PIC = 0x20,       /* 16 of them: the legacy PIC, masked; counted as spurious */
	VEC_TIMER = 0xec,
	VEC_IRQ_WORK = 0xf6,  /* IPI_IRQ_WORK */
	VEC_CALL = 0xf7,      /* IPI_CALL */
	VEC_RESCHED = 0xf8,   /* IPI_RESCHED */
	VEC_APIC_ERROR = 0xfe,
	VEC_SPURIOUS = 0xff,
};

/* Redzones and calls before each access take room. */
#define KERNEL_STACK_SIZE (32UL << 10 << CONFIG_KASAN)
#define IST_STACK_SIZE (16UL << 10)

/* ---- given by the entry part ---- */

/*
 * Per-CPU area (zeroed copy of the percpu section), descriptor tables and IST
 * stacks of CPU cpu; percpu_offset[cpu], its cpu_number and percpu_self_offset
 * are right after it. CPU 0 calls it for each other CPU, while early_alloc works
 * (from arch_machine_init); its own is set up before that.
 */
void cpu_prepare(unsigned int cpu);
/*
 * Called by each CPU for itself, once it runs 64-bit C on kernel_cr3 with
 * interrupts off: GDT, TSS, IDT, GS base, CR0/CR4/EFER/PAT bits. NMIs are safe
 * from its return on.
 */
void cpu_tables_load(unsigned int cpu);
/* The top (16-byte aligned) of a new stack of KERNEL_STACK_SIZE with a guard
 * page under it. CPU 0, while early_alloc works. */
void *stack_alloc(void);
/* The same with another size (a multiple of the page size). */
void *stack_alloc_size(u64 size);

/* The real page tables. Using them wants EFER.NXE set first. */
extern u64 kernel_cr3;
/* The boot page tables, below 4 GiB: the first 4 GiB at their own address and at
 * DIRECT_MAP_BASE, and the kernel image; a started CPU goes through them. */
extern u64 boot_cr3;

/* Device registers, uncached; CPU 0 while early_alloc works. Never NULL. */
void *arch_map_mmio(u64 pa, u64 size);
/* Any physical memory, firmware tables for example, at phys_to_virt(pa): maps
 * what of it is not mapped yet. CPU 0 while early_alloc works. */
void *arch_map_phys(u64 pa, u64 size);
/* The ACPI root pointer (a copy of 36 bytes; revision 0 has 20), checksum right;
 * NULL: the machine has none. */
const void *arch_rsdp(void);
/* A page of RAM below 640 KiB, for starting CPUs, that nobody uses; 0: there is none. */
u64 low_page(void);

/* Print on the serial port at once, without printk, and leave with EXIT_FAIL. */
void __noreturn boot_die(const char *fmt, ...) __printf(1, 2);

/*
 * The entry part also defines mem_ranges[], arch_cmdline, arch_boot_random,
 * arch_exit, arch_reboot, arch_print_machine (arch/machine.h), all of
 * arch/paging.h, arch/debug.h and arch/console.h, and irq_counts.
 */

/* ---- given by the devices part ---- */

/* End of interrupt; any context in which one is being served. */
void lapic_eoi(void);
/* An interrupt of the legacy controllers came, see lapic.c. */
void lapic_look_again(void);
/* The APIC error vector came: read and clear the error register. */
u32 lapic_error_status(void);
/* The rest of arch/machine.h, arch/irq.h and arch/time.h. */

#endif
