/*
 * caught.h - what is printed, caught on its way to the console, and looked through.
 * One at a time.
 */
#ifndef TESTS_CAUGHT_H
#define TESTS_CAUGHT_H

#include <anyctx/types.h>

/* What print(arg) prints, to the start of its next use; nothing of it reaches the console. */
const char *caught(void (*print)(void *arg), void *arg);
/* The same of a function without argument. */
const char *caught_of(void (*print)(void));
/* Behind the next line that begins so, from p on; NULL: there is none. */
const char *line_with(const char *p, const char *begin);
/* The next decimal number in the line at *p, which goes behind it; ~0: none. */
u64 number_in(const char **p);

#endif
