/*
 * pit.c - the legacy timer (8254): channel 0 as a source of interrupts, channel 2
 * as a clock to measure other clocks by.
 *
 * Invariant: channel 0 is stopped (its output stays low) unless pit_start was the
 * last call for it. CPU 0, thread context or booting.
 */
#include "devices.h"

#define CHANNEL(n) (0x40 + (n))
#define COMMAND 0x43
#define LOW_HIGH 0x30   /* the count is written and read as two bytes */
#define MODE_ONCE 0x00  /* the output goes up when the count has run down */
#define MODE_RATE 0x04  /* a short low pulse each time that it has */
#define SELECT(n) ((n) << 6)
#define READ_BACK_STATUS(n) (0xe0 | 2 << (n))
#define STATUS_MODE 0x3f
#define CONTROL 0x61    /* of channel 2 and the loudspeaker */
#define CONTROL_GATE 0x01
#define CONTROL_SPEAKER 0x02
#define CONTROL_OUTPUT 0x20
#define FULL_COUNT 0xffff

static bool present;

static void channel_start(unsigned int n, u8 mode, u16 count)
{
	outb(COMMAND, (u8)(SELECT(n) | LOW_HIGH | mode));
	outb(CHANNEL(n), count & 0xff);
	outb(CHANNEL(n), (u8)(count >> 8));
}

void pit_stop(void)
{
	outb(COMMAND, SELECT(0) | LOW_HIGH | MODE_ONCE); /* it waits for a count */
}

void pit_init(void)
{
	pit_stop();
	channel_start(2, MODE_ONCE, FULL_COUNT);
	outb(COMMAND, READ_BACK_STATUS(2));
	present = (inb(CHANNEL(2)) & STATUS_MODE) == (LOW_HIGH | MODE_ONCE);
}

bool pit_present(void)
{
	return present;
}

void pit_start(unsigned int hz)
{
	unsigned int count = PIT_HZ / hz;

	if (count > FULL_COUNT)
		count = FULL_COUNT;
	channel_start(0, MODE_RATE, (u16)(count < 2 ? 2 : count));
}

void pit_clock_begin(void)
{
	outb(CONTROL, (u8)((inb(CONTROL) & ~CONTROL_SPEAKER) | CONTROL_GATE));
	channel_start(2, MODE_ONCE, FULL_COUNT);
}

u64 pit_clock_read(void)
{
	u8 low, high;

	outb(COMMAND, SELECT(2)); /* latch the count */
	low = inb(CHANNEL(2));
	high = inb(CHANNEL(2));
	return FULL_COUNT - (u64)(low | high << 8);
}

bool pit_clock_good(void)
{
	return !(inb(CONTROL) & CONTROL_OUTPUT);
}
