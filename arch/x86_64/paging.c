/*
 * paging.c - the kernel's page tables.
 *
 * Invariants: only kernel text is executable, and it is writable nowhere, not
 * even through the direct map; nothing is mapped at the addresses a null pointer
 * leads to; an entry once present never changes, so no TLB is ever flushed.
 * Writers: one at a time, while booting (tables come from early_alloc). Readers:
 * any context, at any time: an entry is published by one 8-byte store.
 */
#include <arch/paging.h>
#include "mm/early.h"
#include "private.h"

#define SIZE_4K PAGE_SIZE
#define SIZE_2M (1UL << 21)
#define SIZE_1G (1UL << 30)
#define TOP_LEVEL 3
#define ENTRIES 512
#define MMIO_BASE 0xffffc98000000000UL
#define RO (PTE_G | PTE_NX)
#define RW (PTE_W | PTE_G | PTE_NX)

u64 kernel_cr3;
u64 boot_cr3;
static u64 mmio_next = MMIO_BASE;
static bool use_1g;

static unsigned int table_index(u64 va, unsigned int level)
{
	return va >> (12 + 9 * level) & (ENTRIES - 1);
}

static u64 level_size(unsigned int level)
{
	return SIZE_4K << (9 * level);
}

/* The table below entry e of a table, made if there is none yet. */
static u64 *table_below(u64 *e)
{
	if (!(*e & PTE_P))
		WRITE_ONCE(*e, early_alloc(PAGE_SIZE, PAGE_SIZE) | PTE_P | PTE_W);
	return phys_to_virt(*e & PTE_ADDR);
}

static void map_one(u64 va, u64 pa, unsigned int level, u64 bits)
{
	u64 *table = phys_to_virt(kernel_cr3);

	for (unsigned int l = TOP_LEVEL; l > level; l--)
		table = table_below(&table[table_index(va, l)]);
	WRITE_ONCE(table[table_index(va, level)], pa | bits | PTE_P | (level ? PTE_PS : 0));
}

/* The largest page that fits at va and pa and into size. */
static unsigned int best_level(u64 va, u64 pa, u64 size)
{
	if (use_1g && !((va | pa) & (SIZE_1G - 1)) && size >= SIZE_1G)
		return 2;
	if (!((va | pa) & (SIZE_2M - 1)) && size >= SIZE_2M)
		return 1;
	return 0;
}

void paging_map(u64 va, u64 pa, u64 size, u64 bits)
{
	while (size) {
		unsigned int level = best_level(va, pa, size);

		map_one(va, pa, level, bits);
		va += level_size(level);
		pa += level_size(level);
		size -= level_size(level);
	}
}

u64 paging_lookup(u64 va, u64 *size)
{
	const u64 *table = phys_to_virt(kernel_cr3);

	if ((u64)((s64)(va << 16) >> 16) != va)
		return 0; /* not canonical */
	for (unsigned int level = TOP_LEVEL;; level--) {
		u64 e = READ_ONCE(table[table_index(va, level)]);

		*size = level_size(level);
		if (!(e & PTE_P))
			return 0;
		if (!level || e & PTE_PS)
			return e;
		table = phys_to_virt(e & PTE_ADDR);
	}
}

bool arch_is_mapped(const void *va)
{
	u64 size;

	return paging_lookup((u64)va, &size);
}

static void map_page(u64 va, u64 pa, unsigned int level, int prot)
{
	if ((va | pa) & (level_size(level) - 1) || arch_is_mapped((void *)va))
		boot_die("paging: cannot map %lx to %lx: unaligned, or mapped already", va, pa);
	map_one(va, pa, level, prot & PROT_W ? RW : RO);
}

void arch_map_4k(u64 va, u64 pa, int prot)
{
	map_page(va, pa, 0, prot);
}

void arch_map_2m(u64 va, u64 pa, int prot)
{
	map_page(va, pa, 1, prot);
}

bool arch_in_kernel_image(const void *va)
{
	return (const char *)va >= __text_start && (const char *)va < __image_end;
}

void *arch_map_mmio(u64 pa, u64 size)
{
	u64 off = pa & ~PAGE_MASK, va = mmio_next;

	size = (off + size + PAGE_SIZE - 1) & PAGE_MASK;
	paging_map(va, pa - off, size, RW | PTE_PCD | PTE_PWT);
	mmio_next += size + PAGE_SIZE; /* a gap, so that running off the end faults */
	return (void *)(va + off);
}

void *arch_map_phys(u64 pa, u64 size)
{
	for (u64 p = pa & PAGE_MASK; p < pa + size; p += PAGE_SIZE)
		if (!arch_is_mapped(phys_to_virt(p)))
			map_one((u64)phys_to_virt(p), p, 0, RO);
	return phys_to_virt(pa);
}

/* The kernel image at its linked address: each part with the rights it needs. */
static void map_image(char *start, char *end, u64 bits)
{
	for (char *va = start; va < end; va += PAGE_SIZE)
		map_one((u64)va, image_phys(va), 0, bits);
}

/* RAM [base, end) at the direct map; text and rodata in it are read-only. */
static void map_direct(u64 base, u64 end)
{
	u64 ro = image_phys(__text_start), ro_end = image_phys(__rodata_end);
	u64 cuts[4] = { base, ro, ro_end, end };

	for (unsigned int i = 0; i < 3; i++) {
		u64 b = cuts[i] > base ? cuts[i] : base;
		u64 e = cuts[i + 1] < end ? cuts[i + 1] : end;

		if (b < e)
			paging_map((u64)phys_to_virt(b), b, e - b, i == 1 ? RO : RW);
	}
}

void paging_init(void)
{
	boot_cr3 = (u64)boot_pml4;
	use_1g = cpu_has_1g_pages();
	kernel_cr3 = early_alloc(PAGE_SIZE, PAGE_SIZE);
	for (unsigned int i = 0; i < ram_spans.n; i++)
		map_direct(ram_spans.s[i].base, ram_spans.s[i].end);
	map_image(__text_start, __text_end, PTE_G);
	map_image(__rodata_start, __rodata_end, RO);
	map_image(__data_start, __image_end, RW);
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_NXE);
	WRITE_SYSREG(cr3, kernel_cr3);
}
