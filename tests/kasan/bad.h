/*
 * bad.h - make a bad access in every context, and look at what is told of it. CPU 0,
 * thread context; reports_begin (tests/badcall.h) first.
 */
#ifndef TESTS_KASAN_BAD_H
#define TESTS_KASAN_BAD_H

#include "tests/badcall.h"

/* fn(arg) makes one bad access. In each context, on CPU 0 and the last one, there must
 * be one report, which names CPU, context and `word`. */
void expect_access(void (*fn)(void *), void *arg, const char *word);
/* The newest report, as it is printed, has this in it. */
void expect_told(const char *fmt, ...) __printf(1, 2);

/* Accesses of one size; arg is the address. In a register, so that nothing else is. */
void read_1(void *p);
void read_8(void *p);
void write_1(void *p);
void write_4(void *p);
void write_8(void *p);

#endif
