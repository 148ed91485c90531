/*
 * features.c - what the CPU can do, and whether the emulator under it is sound.
 *
 * CPU 0 checks once, before anything depends on the answer; the other CPUs are
 * taken to be of the same kind. After boot everything here is constant.
 */
#include "kernel/printk.h"
#include "lib/string.h"
#include "private.h"

struct feature {
	const char *name;
	u32 leaf;
	u8 in_ecx, bit; /* else in edx */
};

static const struct feature required[] = {
	{ "TSC (time stamp counter)", 1, 0, 4 },
	{ "MSR (model specific registers)", 1, 0, 5 },
	{ "CX8 (cmpxchg8b)", 1, 0, 8 },
	{ "APIC (local interrupt controller)", 1, 0, 9 },
	{ "PGE (global pages)", 1, 0, 13 },
	{ "PAT (page attribute table)", 1, 0, 16 },
	{ "FXSR (fast save and restore)", 1, 0, 24 },
	{ "NX (no-execute pages)", 0x80000001, 0, 20 },
};
static const struct feature f_cx16 = { "cx16", 1, 1, 13 };
static const struct feature f_x2apic = { "x2apic", 1, 1, 21 };
static const struct feature f_rdrand = { "rdrand", 1, 1, 30 };
static const struct feature f_hypervisor = { "hypervisor", 1, 1, 31 };
static const struct feature f_gbpages = { "1G pages", 0x80000001, 0, 26 };

static bool has(const struct feature *f)
{
	struct cpuid r;

	if (cpuid(f->leaf & 0x80000000, 0).eax < f->leaf)
		return false;
	r = cpuid(f->leaf, 0);
	return (f->in_ecx ? r.ecx : r.edx) & 1u << f->bit;
}

bool cpu_has_1g_pages(void)
{
	return has(&f_gbpages);
}

void features_require(void)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(required); i++)
		if (!has(&required[i]))
			boot_die("anyctx: this CPU lacks %s. Use another CPU; with QEMU, add -cpu max.",
				 required[i].name);
}

struct flag_pair {
	u64 before, after;
};

/*
 * RFLAGS before and after a cmpxchg16b, one that stores or one that does not.
 * Nothing may read the flags between cmp and cmpxchg16b: the emulator would then
 * work them out in time, and hide the bug. So `before` is of a second, equal cmp.
 */
static struct flag_pair cx16_flags(bool equal)
{
	static u64 word[2] __aligned(16);
	struct flag_pair f;
	u64 lo = equal ? word[0] : word[0] + 1, hi = word[1];

	__asm__ volatile("cmpq $7, %[seven]\n\t" /* the flags: defined, ZF the wrong way */
			 "cmpxchg16b %[w]\n\t"
			 "pushfq\n\t"
			 "cmpq $7, %[seven]\n\t"
			 "pushfq\n\t"
			 "popq %[before]\n\t"
			 "popq %[after]"
			 : [w] "+m"(word), "+a"(lo), "+d"(hi),
			   [after] "=&r"(f.after), [before] "=&r"(f.before)
			 : "b"(word[0]), "c"(word[1]), [seven] "r"(equal ? 3UL : 7UL)
			 : "cc", "memory");
	return f;
}

/* It may change ZF and nothing else; and bit 1 is set, the reserved ones clear. */
static bool cx16_flags_possible(bool equal)
{
	const u64 zf = 1 << 6, fixed = 0xffffffffffc0802aUL;
	struct flag_pair f = cx16_flags(equal);

	return (f.after & fixed) == 2 && !((f.before ^ f.after) & ~zf) &&
	       !!(f.after & zf) == equal;
}

/*
 * QEMU 7.2 leaves garbage in RFLAGS after cmpxchg16b; the next interrupt frame
 * holds it, and IRET from that frame faults, far from the cause.
 */
void features_selftest(void)
{
	if (!has(&f_cx16))
		return;
	if (cx16_flags_possible(true) && cx16_flags_possible(false))
		return;
	boot_die("anyctx: this EMULATOR is broken: cmpxchg16b leaves RFLAGS that no CPU can have.\n"
		 "QEMU 7.2 (Debian bookworm) is known to; tools/setup.sh fetches a sound one (8 or newer).");
}

u64 arch_boot_random(void)
{
	u64 v = arch_rdtsc(), r;
	bool ok = false;

	for (unsigned int i = 0; has(&f_rdrand) && !ok && i < 10; i++)
		__asm__ volatile("rdrand %0" : "=r"(r), "=@ccc"(ok));
	if (ok)
		v ^= r;
	v = (v ^ v >> 30) * 0xbf58476d1ce4e5b9UL; /* splitmix64's finish */
	v = (v ^ v >> 27) * 0x94d049bb133111ebUL;
	return v ^ v >> 31;
}

static void cpu_name(char *buf)
{
	char *p = buf;

	memset(buf, 0, 49);
	if (cpuid(0x80000000, 0).eax < 0x80000004)
		return;
	for (u32 leaf = 0x80000002; leaf <= 0x80000004; leaf++) {
		struct cpuid r = cpuid(leaf, 0);

		memcpy(p, &r, sizeof(r));
		p += sizeof(r);
	}
}

void arch_print_machine(void)
{
	const struct feature *optional[] = { &f_cx16, &f_x2apic, &f_rdrand, &f_gbpages,
					     &f_hypervisor };
	char name[52], list[96] = "";
	size_t n = 0;

	cpu_name(name);
	for (unsigned int i = 0; i < ARRAY_SIZE(optional); i++)
		if (has(optional[i]))
			n += (size_t)snprintf(list + n, sizeof(list) - n, " %s", optional[i]->name);
	printk("cpu: %s;%s\n", name[0] ? name : "no name", list);
	if (!has(&f_cx16))
		printk("cpu: no cmpxchg16b; the allocator uses it nowhere, so nothing is done another way\n");
}
