/*
 * arch/interrupts.h - this CPU's interrupts on and off, and waiting with them. Part
 * of cpu.h; arch/hosted has its own.
 *
 * arch_irq_save tells how they were, as RFLAGS_IF or 0, and arch_irq_restore takes
 * it. NMIs and debug exceptions come all the same. Any context.
 */
#ifndef ARCH_INTERRUPTS_H
#define ARCH_INTERRUPTS_H

#include <anyctx/types.h>

#define RFLAGS_IF (1UL << 9)

static __always_inline u64 arch_irq_save(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
	return flags;
}

static __always_inline void arch_irq_restore(u64 flags)
{
	if (flags & RFLAGS_IF)
		__asm__ volatile("sti" : : : "memory");
}

static __always_inline void arch_irq_disable(void)
{
	__asm__ volatile("cli" : : : "memory");
}

static __always_inline void arch_irq_enable(void)
{
	__asm__ volatile("sti" : : : "memory");
}

static __always_inline bool arch_irqs_disabled(void)
{
	u64 flags;

	__asm__ volatile("pushfq; popq %0" : "=r"(flags));
	return !(flags & RFLAGS_IF);
}

static __always_inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

/* Interrupts on and sleep until the next one (smp.c). */
void arch_idle(void);

/* Interrupts off, and nothing but NMIs for ever. */
static __always_inline void __noreturn arch_stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

#endif
