/*
 * paging.c - memory of the process at chosen addresses, and looking at any address.
 *
 * "Physical" memory is what is mapped at DIRECT_MAP_BASE (machine.c). A page that the
 * kernel maps elsewhere as well gets memory of its own there, and what lies behind it in
 * the direct map goes back to the host: nobody looks at the page descriptors by the
 * direct map. Mapping: CPU 0 while booting; looking: any context.
 */
#include <arch/paging.h>
#include <sys/mman.h>
#include "host.h"
#include "kernel/panic.h"

extern char __executable_start[], end[]; /* of the linker's own */

static void map(u64 va, u64 pa, u64 size, int prot)
{
	int rights = prot == PROT_W ? PROT_READ | PROT_WRITE : PROT_READ;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	void *at = mmap((void *)va, size, rights, flags, -1, 0);

	if (at != (void *)va)
		panic("the process has no room for %lu bytes at %lx", size, va);
	madvise(phys_to_virt(pa), size, MADV_DONTNEED); /* it stays zero, if anybody does look */
}

void arch_map_4k(u64 va, u64 pa, int prot)
{
	map(va, pa, PAGE_SIZE, prot);
}

void arch_map_2m(u64 va, u64 pa, int prot)
{
	map(va, pa, 2UL << 20, prot);
}

/* The one load of the kernel that may fault; signal.c goes on behind it. */
bool arch_probe_read64(const void *va, u64 *out)
{
	bool ok;
	u64 v;

	__asm__ volatile("1:	movq (%[va]), %[v]\n\t"
			 "movb $1, %[ok]\n\t"
			 "jmp 3f\n"
			 "2:	movb $0, %[ok]\n"
			 "3:\n\t"
			 ".pushsection extable, \"a\"\n\t"
			 ".balign 8\n\t"
			 ".quad 1b, 2b\n\t"
			 ".popsection"
			 : [v] "=&r"(v), [ok] "=&r"(ok) : [va] "r"(va) : "memory");
	if (ok)
		*out = v;
	return ok;
}

bool arch_is_mapped(const void *va)
{
	u64 v;

	return arch_probe_read64((const void *)((u64)va & PAGE_MASK), &v);
}

bool arch_in_kernel_image(const void *va)
{
	return (const char *)va >= __executable_start && (const char *)va < end;
}
