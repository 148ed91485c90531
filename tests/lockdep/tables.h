/*
 * tables.h - the lock checker's tables are filled, that is reported, and it is off: it
 * says nothing of what is wrong, and has no effect.
 *
 * Each try fills a table, causes the report, turns the checker on again in the same
 * breath, and takes out what it had put in. No timer interrupt comes meanwhile: the
 * checker must not be told of one half of what one does.
 */
#ifndef TESTS_LOCKDEP_TABLES_H
#define TESTS_LOCKDEP_TABLES_H

#include "kernel/lockdep/internal.h"

/* First and last thing in a case: timer interrupts stop; what run_in itself needs is in
 * the tables before they are filled. CPU 0, thread context. */
void tables_begin(void);
void tables_end(void);
/* It is off: it takes a lock that nobody holds for one that it was not told of. Then it
 * is on. Any context. */
void off_then_on(void);

/* Addresses to fill with; all of one class, for who wants that. */
extern char fillers[MAX_CLASSES + 1];
extern const struct lock_site one_class;

#endif
