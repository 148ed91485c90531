/*
 * arch/console.h - bytes out of and into the serial port COM1; no locks here,
 * kernel/printk.c decides who may call.
 */
#ifndef ARCH_CONSOLE_H
#define ARCH_CONSOLE_H

#include <anyctx/types.h>

void arch_console_init(void);
void arch_console_write(const char *s, size_t n); /* \n becomes \r\n */
int arch_console_getc(void);                      /* -1: nothing there */
/* Bytes to QEMU's debugcon (port 0xe9), if the machine has one. */
void arch_debugcon_write(const char *s, size_t n);

#endif
