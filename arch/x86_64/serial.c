/*
 * serial.c - bytes out of and into COM1, and QEMU's debugcon.
 *
 * Invariant: no state but the port's, and every wait is bounded, so a call never
 * hangs: not on a machine without the port, and not in an NMI that interrupted
 * another call. Any context; kernel/printk.c decides whose turn it is.
 */
#include <arch/console.h>
#include "x86.h"

#define COM1 0x3f8
#define REG_DATA (COM1 + 0)
#define REG_IER (COM1 + 1)
#define REG_FCR (COM1 + 2)
#define REG_LCR (COM1 + 3)
#define REG_MCR (COM1 + 4)
#define REG_LSR (COM1 + 5)
#define LSR_DATA 0x01
#define LSR_THR_EMPTY 0x20
#define FIFO_SIZE 16
#define WAIT_POLLS 200000 /* far longer than 16 bytes take at 115200 */
#define DEBUGCON 0xe9

static bool present;

void arch_console_init(void)
{
	outb(REG_IER, 0);
	outb(REG_LCR, 0x80); /* divisor latch: 1 is 115200 */
	outb(REG_DATA, 1);
	outb(REG_IER, 0);
	outb(REG_LCR, 0x03); /* 8 bits, no parity, 1 stop bit */
	outb(REG_FCR, 0x07); /* FIFOs on and empty */
	outb(REG_MCR, 0x03); /* DTR, RTS */
	present = inb(REG_LSR) != 0xff;
}

/* Until the send FIFO is empty; false: it never gets so. */
static bool wait_empty(void)
{
	for (unsigned int i = 0; i < WAIT_POLLS; i++)
		if (inb(REG_LSR) & LSR_THR_EMPTY)
			return true;
	return false;
}

void arch_console_write(const char *s, size_t n)
{
	unsigned int room = 0;

	for (size_t i = 0; present && i < n; i++) {
		unsigned int need = s[i] == '\n' ? 2 : 1;

		if (room < need) {
			if (!wait_empty())
				return;
			room = FIFO_SIZE;
		}
		if (s[i] == '\n')
			outb(REG_DATA, '\r');
		outb(REG_DATA, (u8)s[i]);
		room -= need;
	}
}

int arch_console_getc(void)
{
	if (!present || !(inb(REG_LSR) & LSR_DATA))
		return -1;
	return inb(REG_DATA);
}

void arch_debugcon_write(const char *s, size_t n)
{
	if (inb(DEBUGCON) != DEBUGCON)
		return;
	for (size_t i = 0; i < n; i++)
		outb(DEBUGCON, (u8)s[i]);
}
