/*
 * typesafe.h - caches with SLAB_TYPESAFE_BY_RCU: when an empty slab may go. Any context,
 * but typesafe_settle.
 */
#ifndef MM_TYPESAFE_H
#define MM_TYPESAFE_H

#include "mm/internal.h"

/* The grace period that covers who reads now; has that one ended? */
u32 typesafe_number(void);
bool typesafe_over(u32 number);
/* Before the swap that makes the slab empty, by who holds its last object. */
void typesafe_emptied(struct page *head);
/* May it be released, as far as readers go? If not, it will be tried again. */
bool typesafe_may_go(struct kmem_cache *s, struct page *head);
/* May any slab have been waiting? */
bool typesafe_waits(void);
/* The constructor of such a cache without one: the objects' marks then lie behind them. */
void typesafe_keep(void *obj);
/* Thread: all that are empty now may go afterwards. */
void typesafe_settle(void);

#endif
