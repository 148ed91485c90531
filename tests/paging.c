/*
 * paging.c - what is mapped, with which rights; reading any address; stacks.
 * Reads the page tables, and tries the rights out. CPU 0, thread context.
 */
#include <arch/debug.h>
#include <arch/machine.h>
#include <arch/paging.h>
#include "arch/x86_64/private.h"
#include "tests/test.h"

/* The number of pages of [start, end) whose bits are not the wanted ones. */
static u64 pages_unlike(u64 start, u64 end, u64 bits)
{
	u64 bad = 0, size, va, pte;

	for (va = start; va < end; va = (va & ~(size - 1)) + size) {
		pte = paging_lookup(va, &size);
		if ((pte & (PTE_P | PTE_W | PTE_NX)) != bits)
			bad++;
	}
	return bad;
}

TEST(paging, image_rights, "text is read-only, rodata too and not executable, data not executable")
{
	u64 direct = DIRECT_MAP_BASE - KERNEL_VMA;

	EXPECT_EQ(pages_unlike((u64)__text_start, (u64)__text_end, PTE_P), 0);
	EXPECT_EQ(pages_unlike((u64)__rodata_start, (u64)__rodata_end, PTE_P | PTE_NX), 0);
	EXPECT_EQ(pages_unlike((u64)__data_start, (u64)__image_end, PTE_P | PTE_W | PTE_NX), 0);
	EXPECT_EQ(pages_unlike((u64)__text_start + direct, (u64)__rodata_end + direct,
			       PTE_P | PTE_NX), 0);
	EXPECT(READ_SYSREG(cr0) & CR0_WP);
	EXPECT(rdmsr(MSR_EFER) & EFER_NXE);
}

TEST(paging, direct_map, "all usable memory is mapped writable and not executable")
{
	for (unsigned int i = 0; i < nr_mem_ranges; i++) {
		u64 va = (u64)phys_to_virt(mem_ranges[i].base);

		EXPECT_EQ(pages_unlike(va, va + mem_ranges[i].size, PTE_P | PTE_W | PTE_NX), 0);
	}
}

TEST(paging, mem_ranges, "usable ranges are page aligned, sorted, disjoint, and not the image")
{
	u64 end = 1 << 20, image = (u64)__image_phys_start, image_end = image_phys(__image_end);

	for (unsigned int i = 0; i < nr_mem_ranges; i++) {
		const struct mem_range *r = &mem_ranges[i];

		if (!r->size)
			continue;
		EXPECT_EQ((r->base | r->size) & ~PAGE_MASK, 0);
		EXPECT(r->base >= end);
		end = r->base + r->size;
		EXPECT(end <= DIRECT_MAP_MAX);
		EXPECT(r->base >= image_end || end <= image);
	}
}

/* ---- trying it ---- */
bool paging_try_write(void *p);   /* writes the byte that is there; false: fault */
bool paging_try_execute(void *p); /* calls it; false: fault */
extern char paging_code_in_data[];

__asm__(".pushsection .text\n"
	".globl paging_try_write, paging_try_execute\n"
	"paging_try_write: movb (%rdi), %al\n"
	"1: movb %al, (%rdi)\n"
	"	movl $1, %eax\n"
	"	ret\n"
	"2:	xorl %eax, %eax\n"
	"	ret\n"
	"paging_try_execute: call *%rdi\n"
	"	movl $1, %eax\n"
	"	ret\n"
	"3:	addq $8, %rsp\n" /* the call's return address */
	"	xorl %eax, %eax\n"
	"	ret\n"
	".popsection\n"
	".pushsection .data\n"
	".globl paging_code_in_data\n"
	"paging_code_in_data: ret\n"
	".popsection\n"
	".pushsection extable, \"a\"\n"
	"	.quad 1b, 2b\n"
	"	.quad paging_code_in_data, 3b\n"
	".popsection\n");

TEST(paging, rights_hold, "the CPU refuses to write text and rodata, and to execute data")
{
	static const char constant = 1;

	EXPECT(!paging_try_write((void *)paging_try_write));
	EXPECT(!paging_try_write(phys_to_virt(image_phys((void *)paging_try_write))));
	EXPECT(!paging_try_write((void *)&constant));
	EXPECT(paging_try_write(paging_code_in_data));
	EXPECT(!paging_try_execute(paging_code_in_data));
}

TEST(paging, probe, "any address may be probed: null, unmapped, not canonical, across pages")
{
	static u64 word = 0x123456789abcdef0;
	u64 v = 0;

	EXPECT(arch_probe_read64(&word, &v));
	EXPECT_EQ(v, word);
	EXPECT(!arch_probe_read64(NULL, &v));
	EXPECT(!arch_probe_read64((void *)8, &v));
	EXPECT(!arch_probe_read64((void *)0xffffa00000000000UL, &v));
	EXPECT(!arch_probe_read64((void *)0x8000000000000000UL, &v));
	EXPECT(!arch_probe_read64((void *)0x00007ffffffffffcUL, &v)); /* into the hole */
	EXPECT(!arch_probe_read64((void *)0xfffffffffffffff9UL, &v)); /* wraps around */
	EXPECT_EQ(v, word);
	EXPECT(!arch_is_mapped(NULL));
	EXPECT(!arch_is_mapped((void *)0x8000000000000000UL));
	EXPECT(arch_is_mapped(&word));
	EXPECT(arch_is_mapped(phys_to_virt(0x1000)));
	EXPECT(arch_in_kernel_image(&word));
	EXPECT(!arch_in_kernel_image(phys_to_virt(0x100000)));
}

/* The lowest mapped address of the stack that p is in. */
static u64 stack_bottom(u64 p)
{
	for (p &= PAGE_MASK; arch_is_mapped((void *)(p - PAGE_SIZE)); p -= PAGE_SIZE)
		;
	return p;
}

TEST(paging, stack_guards, "under each stack, of this thread and of the ISTs, is an unmapped page")
{
	u64 sp = (u64)__builtin_frame_address(0);

	EXPECT(stack_is_guard(stack_bottom(sp) - 1));
	EXPECT(sp - stack_bottom(sp) < KERNEL_STACK_SIZE);
	for (unsigned int cpu = 0; cpu < num_online_cpus(); cpu++) {
		const struct tss *tss = &per_cpu_ptr(entry_cpu, cpu)->tss;

		for (unsigned int i = IST_NMI; i <= IST_MC; i++) {
			u64 top = tss->ist[i - 1], bottom = top - IST_STACK_SIZE;

			EXPECT(stack_contains(bottom, IST_STACK_SIZE));
			EXPECT(stack_is_guard(bottom - 1));
			EXPECT(!arch_is_mapped((void *)top)); /* the next one's guard, or the end */
		}
	}
}

static __noinline unsigned int trace(u64 *out, unsigned int max)
{
	return arch_backtrace(0, (u64)__builtin_frame_address(0), out, max);
}

TEST(paging, backtrace, "a backtrace finds its callers, and survives bad frame pointers")
{
	u64 out[16], wild[2] = { (u64)wild, (u64)__text_start }; /* its own caller */

	EXPECT(trace(out, 16) >= 2);
	EXPECT(arch_in_kernel_image((void *)out[0]));
	EXPECT_EQ(trace(out, 1), 1);
	EXPECT_EQ(arch_backtrace(0, 0, out, 16), 0);
	EXPECT_EQ(arch_backtrace(0, 0x8000000000000000UL, out, 16), 0);
	EXPECT_EQ(arch_backtrace(0, (u64)wild + 1, out, 16), 0);
	EXPECT_EQ(arch_backtrace(0, (u64)wild, out, 16), 1);
}
