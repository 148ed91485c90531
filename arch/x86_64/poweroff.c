/*
 * poweroff.c - the ways to end the machine. Any context; none returns.
 */
#include <arch/machine.h>
#include "private.h"
#include "x86.h"

#define DEBUG_EXIT 0xf4 /* QEMU: -device isa-debug-exit,iobase=0xf4,iosize=0x04 */
#define LSR 0x3fd
#define LSR_IDLE 0x40
#define KBD_COMMAND 0x64
#define RESET_CONTROL 0xcf9

/* Let the last bytes out of the serial port. */
static void serial_drain(void)
{
	for (unsigned int i = 0; i < 200000 && !(inb(LSR) & LSR_IDLE); i++)
		;
}

void arch_exit(int code)
{
	arch_irq_disable();
	serial_drain();
	coverage_dump();
	outl(DEBUG_EXIT, (u32)code);
	arch_stop();
}

void arch_reboot(void)
{
	static const struct {
		u16 limit;
		u64 base;
	} __packed no_idt = { 0, 0 };

	arch_irq_disable();
	serial_drain();
	outb(RESET_CONTROL, 0x02);
	outb(RESET_CONTROL, 0x06); /* PCI reset */
	outb(KBD_COMMAND, 0xfe);   /* the keyboard controller's reset line */
	__asm__ volatile("lidt %0; int3" : : "m"(no_idt)); /* triple fault */
	arch_stop();
}
