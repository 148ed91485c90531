/*
 * percpu.h - variables of which every CPU has a copy of its own.
 *
 * DEFINE_PER_CPU puts the variable in the section "percpu", which is all zero
 * at the start: it may have no initialiser. CPU 0 uses the section itself;
 * every other CPU a zeroed copy. The GS base of a CPU is the distance from the
 * section to its copy, so `%gs:var` at the linked address is one instruction
 * that no interrupt can split: the address and the access cannot end up on two
 * different CPUs. Every context of a CPU sees the same copy.
 */
#ifndef ANYCTX_PERCPU_H
#define ANYCTX_PERCPU_H

#include <anyctx/types.h>

#define DEFINE_PER_CPU(type, name) \
	__section("percpu") __typeof__(type) name
#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name

extern char __start_percpu[], __stop_percpu[];
/* The distance from the section to the copy of each CPU; [0] is 0. */
extern u64 percpu_offset[NR_CPUS];
/* This CPU's distance and number, readable through GS. */
DECLARE_PER_CPU(u64, percpu_self_offset);
DECLARE_PER_CPU(u32, cpu_number);

/* The number of the CPU that runs this, from any context. */
static __always_inline u32 smp_processor_id(void)
{
	u32 id;

	if (CONFIG_UP)
		return 0;
	__asm__ volatile("movl %%gs:%1, %0" : "=r"(id) : "m"(cpu_number));
	return id;
}

static __always_inline u64 this_cpu_offset(void)
{
	u64 off;

	if (CONFIG_UP)
		return 0;
	__asm__ volatile("movq %%gs:%1, %0" : "=r"(off) : "m"(percpu_self_offset));
	return off;
}

/* The compiler is not to know whence the address: a copy is no part of the variable. */
static __always_inline void *percpu_copy(const volatile void *var, u64 offset)
{
	u64 addr;

	__asm__("" : "=r"(addr) : "0"(var));
	return (void *)(addr + offset);
}

/* A pointer to this CPU's copy; valid on this CPU until the caller migrates. */
#define this_cpu_ptr(var) ((__typeof__(var) *)percpu_copy(&(var), this_cpu_offset()))
/* A pointer to the copy of CPU cpu. */
#define per_cpu_ptr(var, cpu) ((__typeof__(var) *)percpu_copy(&(var), percpu_offset[CONFIG_UP ? 0 : (cpu)]))

/*
 * One instruction each, on a 64-bit per-CPU variable: nothing on this CPU can
 * come between, and without a lock prefix nothing on another CPU is excluded.
 */
#define this_cpu_add64(var, n) \
	__asm__ volatile("addq %1, %%gs:%0" : "+m"(var) : "re"((u64)(n)) : "cc")
#define this_cpu_read64(var) ({ \
	u64 __v; \
	__asm__ volatile("movq %%gs:%1, %0" : "=r"(__v) : "m"(var)); \
	__v; })
#define this_cpu_write64(var, v) \
	__asm__ volatile("movq %1, %%gs:%0" : "=m"(var) : "re"((u64)(v)))

#endif
