/*
 * pic.c - the two legacy interrupt controllers (8259): moved away from the
 * exceptions and masked. The timer's input alone is let through, when the timer
 * is to come as an NMI at LINT0. An NMI is not acknowledged on the bus as an interrupt
 * is, and by the book the controller's output then stays up, so that no further edge
 * can come; so CPU 0 asks it what there is (a poll), which counts as such. QEMU goes on
 * by itself, but sometimes lets a local interrupt acknowledge the NMI in passing (see
 * lapic_look_again); hence ends of interrupt are automatic, else that would be the last.
 *
 * Invariant: both are masked but for the timer's input while that NMI source is on;
 * and then nothing but pic_timer_ack, in CPU 0's NMIs, takes more than one access.
 * CPU 0; the rest in thread context.
 */
#include "devices.h"

#define MASTER 0x20
#define SLAVE 0xa0
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086_AUTO_END 0x03
#define OCW3_POLL 0x0c
#define CASCADE_IRQ 2
#define ALL_MASKED 0xff
#define TIMER_UNMASKED 0xfe

static bool present;

/* The four initialisation words of one. */
static void init_one(u16 port, u8 vector, u8 cascade)
{
	outb(port, ICW1_INIT_ICW4);
	outb(port + 1, vector);
	outb(port + 1, cascade);
	outb(port + 1, ICW4_8086_AUTO_END);
	outb(port + 1, ALL_MASKED);
}

void pic_timer_unmask(bool on)
{
	outb(MASTER + 1, on ? TIMER_UNMASKED : ALL_MASKED);
}

/* Is there one: does it keep its mask? */
static bool probe(void)
{
	bool keeps;

	pic_timer_unmask(true);
	keeps = inb(MASTER + 1) == TIMER_UNMASKED;
	pic_timer_unmask(false);
	return keeps && inb(MASTER + 1) == ALL_MASKED;
}

void pic_init(void)
{
	init_one(MASTER, VEC_PIC, 1u << CASCADE_IRQ);
	init_one(SLAVE, VEC_PIC + 8, CASCADE_IRQ);
	present = probe();
}

bool pic_present(void)
{
	return present;
}

void pic_timer_ack(void)
{
	outb(MASTER, OCW3_POLL);
	inb(MASTER);
}
