/*
 * fwcfg.h - files that QEMU hands to its guest (-fw_cfg name=...,string=...).
 */
#ifndef X86_FWCFG_H
#define X86_FWCFG_H

#include <anyctx/types.h>

/* Read a file into buf as a string, cut to size - 1 bytes (so that a
 * caller sees a cut, give one byte more than it takes). False: not QEMU, or no
 * such file; buf is unchanged. CPU 0 while booting. */
bool fwcfg_read_string(const char *name, char *buf, size_t size);

#endif
