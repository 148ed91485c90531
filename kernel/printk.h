/*
 * printk.h - lines to the serial console, from any context, without waiting.
 *
 * A line goes whole into a ring; whoever can take the output side writes the
 * ring out, and nobody waits for it. A full ring drops the line and counts it.
 */
#ifndef KERNEL_PRINTK_H
#define KERNEL_PRINTK_H

#include <anyctx/types.h>

void printk(const char *fmt, ...) __printf(1, 2);
void vprintk(const char *fmt, va_list ap);
/* Write out all that is in the ring, and how many lines were dropped (waits for the
 * other writer); thread context. */
void printk_flush(void);
/* From now on lines bypass ring and locks: for panic. */
void printk_panic_mode(void);
u64 printk_dropped(void);
/* For tests: fn sees each record just before it is written, in whatever context
 * drains; true: it is not to be written. NULL ends that; a drainer may then still
 * be in the old one. Thread context. */
typedef bool (*printk_tap_t)(const char *text, size_t len);
void printk_set_tap(printk_tap_t fn);

/* lib/format.c: printf's %d %u %x %lx %p %s %c %%, width, 0 and - flags, *, l ll z. */
int vsnprintf(char *buf, size_t size, const char *fmt, va_list ap);
int snprintf(char *buf, size_t size, const char *fmt, ...) __printf(3, 4);

#endif
