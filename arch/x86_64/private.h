/*
 * private.h - what the files of the entry part share among themselves: start-up
 * steps, the memory map, descriptor tables, debug registers.
 */
#ifndef X86_PRIVATE_H
#define X86_PRIVATE_H

#include <arch/machine.h>
#include "x86.h"

/* linker.ld */
extern char __image_phys_start[], __image_end[];
extern char __text_start[], __text_end[], __rodata_start[], __rodata_end[], __data_start[];
extern char __entry_text_start[], __entry_text_end[];
/* boot/start.asm */
extern char boot_pml4[], boot_stack[], boot_stack_top[];
void __noreturn switch_stack(void *top, void (*fn)(void));

static inline u64 image_phys(const void *va)
{
	return (u64)va - KERNEL_VMA;
}

/* ---- features.c: CPU 0, first thing in C ---- */
void features_require(void);  /* leaves with a message if one is missing */
void features_selftest(void); /* the same if the emulator is broken */
bool cpu_has_1g_pages(void);

/* ---- span.c: sorted lists of disjoint address ranges ---- */
struct span_list {
	unsigned int n;
	u64 lost; /* bytes there was no slot for */
	struct {
		u64 base, end;
	} s[MAX_MEM_RANGES];
};
void span_add(struct span_list *l, u64 base, u64 end);
void span_cut(struct span_list *l, u64 base, u64 end);
void span_round_inward(struct span_list *l); /* to whole pages */
u64 span_total(const struct span_list *l);

/* ---- multiboot2.c: CPU 0, on the boot page tables ---- */
void multiboot2_parse(u32 magic, u64 mbi); /* fills all that follows */
void memory_map_publish(void);             /* mem_ranges[] from it */
extern struct span_list ram_spans;         /* to be mapped: RAM and firmware tables */

/* ---- paging.c, stack.c ---- */
void paging_init(void); /* builds kernel_cr3 and loads it */
/* Map [va, va + size), all page aligned, with raw page table bits. */
void paging_map(u64 va, u64 pa, u64 size, u64 bits);
/* The page table entry that maps va, 0 if none; its page size to *size. Any context. */
u64 paging_lookup(u64 va, u64 *size);
#define PTE_P (1UL << 0)
#define PTE_W (1UL << 1)
#define PTE_PWT (1UL << 3)
#define PTE_PCD (1UL << 4)
#define PTE_PS (1UL << 7)
#define PTE_G (1UL << 8)
#define PTE_NX (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL

/* The stack area: is [p, p + size) in mapped stack; is p in a guard page? Any context. */
bool stack_contains(u64 p, u64 size);
bool stack_is_guard(u64 p);

/* ---- gdt.c, idt.c ---- */
struct tss {
	u32 reserved0;
	u64 rsp[3], reserved1, ist[7], reserved2;
	u16 reserved3, iomap;
} __packed;

/* What the entry code touches before it has left its IST stack. Breakpoints on
 * it are refused. entry.asm knows the offsets; gdt.c asserts them. */
struct entry_cpu {
	u64 dr7_paused; /* > 0: DR7 is to be 0 */
	u64 dr7;        /* what it is to be otherwise */
	u64 gdt[5];
	u64 spare;
	struct tss tss;
} __aligned(64);
DECLARE_PER_CPU(struct entry_cpu, entry_cpu);

enum ist { IST_NONE, IST_NMI, IST_DB, IST_DF, IST_MC };
void ist_stacks_boot(void);              /* CPU 0: until there are real ones */
void ist_stacks_alloc(unsigned int cpu); /* with guard pages; early_alloc */
/* Is p in an IST stack of any CPU? Any context. */
bool ist_contains(u64 p);
void idt_init(void); /* CPU 0, once */
void idt_load(const u64 *table); /* of as many gates as idt[]; each CPU */
extern u64 idt[512];

/* ---- rseq.c: on the way out of interrupts, NMIs and debug exceptions ---- */
void rseq_fixup(struct regs *r);
/* The same, unless the hook has called arch_debug_undisturbed. */
void rseq_fixup_debug(struct regs *r);

/* ---- coverage.c: what a kernel built to count its lines has counted. Any context. */
void coverage_dump(void);

/* ---- trap.c, hwbreak.c: called from entry.asm and each other ---- */
#define DR6_HITS 0xfUL
#define DR6_ACTIVE_HIGH 0xe00fUL /* B0-B3, BD, BS, BT */
#define DR6_CLEAR 0xffff0ff0UL
#define RFLAGS_RF (1UL << 16)
/* Breakpoints off and on again on this CPU; nests. Any context. */
void hw_break_pause(void);
void hw_break_resume(void);
/* Is one of the hits in dr6 an instruction breakpoint (a fault, not a trap)? */
bool hw_break_is_exec(u64 dr6);
/* Tests: breakpoints stay on inside this CPU's NMI handlers if not 0. */
DECLARE_PER_CPU(u64, hw_break_in_nmi);

#endif
