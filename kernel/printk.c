/*
 * printk.c - lines from any context to the serial console.
 *
 * Three steps, none of which waits for another context:
 *   reserve  one compare-and-swap moves `head` over as many slots as the text needs
 *   publish  one store to the slot's `ready`, after the text is in it
 *   drain    whoever gets `writer` writes published slots out, in order
 *
 * Invariant: tail <= head <= tail + SLOTS. A slot between them belongs to the
 * context that reserved it until ready == position + 1, then to the drainer.
 * Only the holder of `writer` moves tail. After letting `writer` go the drainer
 * looks again, so a line published at any moment is seen by its publisher or by
 * the drainer. A slot whose owner was interrupted holds up those behind it until
 * the owner goes on, and drains them; panic mode steps over it.
 *
 * A record is written out by one call, so no record is torn; the records of one
 * printk are neighbours. A full ring drops the text and counts it, and a line says
 * how many; a thread first helps to empty the ring, for a bounded time.
 */
#include "kernel/printk.h"
#include <anyctx/irq_work.h>
#include <anyctx/lockdep.h>
#include <anyctx/preempt.h>
#include <arch/console.h>
#include <arch/cpu.h>
#include "kernel/context.h"
#include "lib/string.h"

#define SLOTS 512
#define TEXT 246
#define PRINTK_MAX (3 * TEXT + 1)
#define ROUNDS 64
#define FULL_TRIES 2000000
#define FLUSH_TRIES 100000000

struct slot {
	u64 ready; /* position + 1: published */
	u16 len;
	char text[TEXT];
};

static struct slot ring[SLOTS];
static u64 head, tail;
static u32 writer;  /* 0, or CPU + 1 of the drainer */
static const struct lock_site writer_site = LOCK_SITE_INIT;
static bool in_line; /* the drainer is in the middle of a record */
static u64 dropped, dropped_told;
static u32 panic_writer; /* CPU + 1: only this CPU prints, and directly */
static printk_tap_t tap;
static void drain_later(struct irq_work *w);
static struct irq_work later = { .lazy = 1, .func = drain_later };

static struct slot *slot_of(u64 pos)
{
	return &ring[pos % SLOTS];
}

static bool published(u64 pos)
{
	return __atomic_load_n(&slot_of(pos)->ready, __ATOMIC_ACQUIRE) == pos + 1;
}

static bool reserve(u64 n, u64 *pos)
{
	*pos = __atomic_load_n(&head, __ATOMIC_RELAXED);
	do {
		u64 t = __atomic_load_n(&tail, __ATOMIC_ACQUIRE);

		if ((s64)(*pos + n - t) > SLOTS)
			return false;
	} while (!__atomic_compare_exchange_n(&head, pos, *pos + n, false, __ATOMIC_RELAXED,
					      __ATOMIC_RELAXED));
	return true;
}

static void output(const char *text, size_t len)
{
	printk_tap_t t = READ_ONCE(tap);

	if (t && t(text, len))
		return;
	WRITE_ONCE(in_line, true);
	arch_console_write(text, len);
	WRITE_ONCE(in_line, false);
}

static bool drops_to_tell(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED) != READ_ONCE(dropped_told);
}

/* As the holder of `writer`, or in panic mode. */
static void tell_dropped(void (*write)(const char *text, size_t len))
{
	char buf[64];
	u64 d = __atomic_load_n(&dropped, __ATOMIC_RELAXED);

	if (d == dropped_told)
		return;
	write(buf, (size_t)snprintf(buf, sizeof(buf), "printk: %lu lines dropped\n", d - dropped_told));
	WRITE_ONCE(dropped_told, d);
}

/* As the holder of `writer`: at most a ring full; true if there may be more. */
static bool write_out(void)
{
	for (unsigned int n = 0; n < SLOTS; n++) {
		struct slot *s = slot_of(tail);

		if (!published(tail) || READ_ONCE(panic_writer))
			return false;
		output(s->text, s->len);
		__atomic_store_n(&tail, tail + 1, __ATOMIC_RELEASE);
	}
	return true;
}

static bool take_writer(void)
{
	u32 free = 0;

	if (!__atomic_compare_exchange_n(&writer, &free, smp_processor_id() + 1, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return false;
	lock_taken(&writer, &writer_site, LOCK_TRIED);
	return true;
}

/* Another context has published or dropped since the writer looked, and found `writer` taken. */
static bool look_again(void)
{
	return !READ_ONCE(panic_writer) &&
	       (published(__atomic_load_n(&tail, __ATOMIC_RELAXED)) || drops_to_tell());
}

static void drain(void)
{
	unsigned int rounds = 0;
	bool more;

	do {
		if (!take_writer())
			return;
		more = write_out() || ++rounds == ROUNDS;
		tell_dropped(output);
		lock_release(&writer);
		/* A full barrier between this store and the look at slot and count. */
		__atomic_store_n(&writer, 0, __ATOMIC_SEQ_CST);
	} while (!more && look_again());
	if (more) /* others print without end: they may not keep this context here */
		irq_work_queue(&later);
}

static void drain_later(struct irq_work *w)
{
	(void)w;
	drain();
}

/* A thread waits a while for room; it cannot have interrupted the drainer. */
static bool reserve_or_help(u64 n, u64 *pos)
{
	unsigned int tries = in_thread() ? FULL_TRIES : 1;

	while (tries--) {
		if (reserve(n, pos))
			return true;
		drain();
		cpu_relax();
	}
	return reserve(n, pos);
}

static void put_records(const char *text, size_t len)
{
	u64 n = (len + TEXT - 1) / TEXT, pos;

	if (!n)
		return;
	if (!reserve_or_help(n, &pos)) {
		__atomic_fetch_add(&dropped, 1, __ATOMIC_SEQ_CST);
		return;
	}
	for (u64 i = 0; i < n; i++, text += TEXT, len -= TEXT) {
		struct slot *s = slot_of(pos + i);

		s->len = (u16)(len < TEXT ? len : TEXT);
		memcpy(s->text, text, s->len);
		__atomic_store_n(&s->ready, pos + i + 1, __ATOMIC_RELEASE);
	}
}

void vprintk(const char *fmt, va_list ap)
{
	char buf[PRINTK_MAX];
	int want = vsnprintf(buf, sizeof(buf), fmt, ap);
	size_t len = (size_t)want < sizeof(buf) ? (size_t)want : sizeof(buf) - 1;
	u32 panic = READ_ONCE(panic_writer);

	if (len < (size_t)want)
		buf[len - 1] = '\n'; /* cut, but still a line */
	if (panic == smp_processor_id() + 1) {
		arch_console_write(buf, len);
	} else if (!panic) {
		preempt_disable(); /* another thread's lines would wait for ours */
		put_records(buf, len);
		drain();
		preempt_enable();
	}
}

void printk(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintk(fmt, ap);
	va_end(ap);
}

void printk_flush(void)
{
	for (unsigned int i = 0; i < FLUSH_TRIES; i++) {
		if (__atomic_load_n(&tail, __ATOMIC_ACQUIRE) == __atomic_load_n(&head, __ATOMIC_RELAXED) &&
		    !drops_to_tell())
			return;
		preempt_disable();
		drain();
		preempt_enable();
		cpu_relax();
	}
}

/*
 * The other CPUs are stopped by now, or do not listen. What is published goes
 * out; a record that was cut off in the middle goes out again, whole.
 */
void printk_panic_mode(void)
{
	if (READ_ONCE(panic_writer))
		return;
	WRITE_ONCE(panic_writer, smp_processor_id() + 1);
	if (READ_ONCE(in_line))
		arch_console_write("\n", 1);
	for (; tail != head; tail++)
		if (published(tail))
			arch_console_write(slot_of(tail)->text, slot_of(tail)->len);
	tell_dropped(arch_console_write);
}

void printk_set_tap(printk_tap_t fn)
{
	printk_flush();
	__atomic_store_n(&tap, fn, __ATOMIC_SEQ_CST);
}

u64 printk_dropped(void)
{
	return __atomic_load_n(&dropped, __ATOMIC_RELAXED);
}
