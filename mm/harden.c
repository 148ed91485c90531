/*
 * harden.c - CONFIG=hardened: its arguments, and the order of a new slab's objects by
 * chance (slab.c). docs/design-slab-debug.md, "Hardened". Any context.
 */
#include "mm/harden.h"
#include "kernel/cmdline.h"
#include "mm/internal.h"
#include <arch/cpu.h>

s64 init_on_alloc = CONFIG_HARDENED, init_on_free = CONFIG_HARDENED;
KPARAM_INT(init_on_alloc, "init_on_alloc", 0, CONFIG_HARDENED, "1: memory is zeroed as it is handed out; only CONFIG=hardened has it");
KPARAM_INT(init_on_free, "init_on_free", 0, CONFIG_HARDENED, "1: memory is zeroed as it comes back; only CONFIG=hardened has it");

void harden_rng(struct rng *r, u32 secret)
{
	static u64 shuffles;

	rng_init(r, arch_rdtsc() ^ (u64)secret << 32 ^ __atomic_add_fetch(&shuffles, 1, __ATOMIC_RELAXED) << 20);
}
