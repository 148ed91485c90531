/*
 * misuse.h - locks of their own class, one for each try: what the checker has seen once
 * it does not report again.
 */
#ifndef TESTS_LOCKDEP_MISUSE_H
#define TESTS_LOCKDEP_MISUSE_H

#include <anyctx/spinlock.h>

/* All zero, so each is its own class. No more than 160 a boot. */
spinlock_t *fresh_lock(void);
/* How the checker writes the class of a lock or mutex that is its own. */
const char *lock_words(const void *lock);

#endif
