/*
 * arch/switch.h - a thread's stack made, and another thread's stack taken (switch.asm).
 */
#ifndef ARCH_SWITCH_H
#define ARCH_SWITCH_H

#include <anyctx/types.h>

/* The top of a new stack above a guard page. CPU 0 while booting. */
void *arch_stack_alloc(void);
/* What `to` of arch_switch is for a thread that begins with fn, which never returns. */
u64 arch_new_stack(u64 top, void (*fn)(void));
/*
 * Go on with the thread whose stack pointer is `to`; this one's goes to *from, and it
 * returns when it is switched to again. Interrupts off, GS is not touched.
 */
void arch_switch(u64 *from, u64 to);

#endif
