/*
 * inject_state.h - known states of the allocator on CPU 0, in which a call is to be
 * interrupted; what the test holds meanwhile; and whether all is accounted for.
 *
 * Two caches are the tests' own: `same`, whose magazines hold only six, and `other`.
 * Nobody else allocates, so a state can be made again exactly. CPU 0, interrupts off;
 * hold and its like also in a context that has interrupted a call.
 */
#ifndef TESTS_INJECT_STATE_H
#define TESTS_INJECT_STATE_H

#include <anyctx/slab.h>

extern struct kmem_cache *same, *other, *remote;
#define SAME_LIMIT 6

/* The caches are made with these flags of slab.h. */
extern unsigned int state_flags;
/* Make the caches, and remember how many pages are free; false: no memory. */
bool states_begin(void);
/* Give all back and destroy them. Interrupts on. */
void states_end(void);

/* Nothing held, no slab of the two caches, no private pages. */
void state_reset(void);
/* One slab of `same`, full: n of its objects free in its chain, the others held. */
void state_chain(unsigned int n);
/* n held objects of `same` go into the magazine. */
void state_magazine(unsigned int n);
/* n held objects of `same` go on the deferral stack; the magazine is full. */
void state_deferred(unsigned int n);
/* A second slab of `same`, all free. */
void state_empty_slab(void);
/* This CPU has private pages, single ones and larger. */
void state_private(void);
/* An object of a third cache is held, whose slab this CPU does nothing else with; and it
 * is not any longer, NULL after the first time. */
void state_remote(void);
extern bool remote_wanted; /* from states_begin on; who has no memory for it says false */
void *remote_let_go(void);
/* From now on memory counts as little, or does not. */
void state_tight(bool on);

/* The test has it now: filled with a pattern, and freed by state_reset. NULL: no. */
bool hold(void *p);
/* An object of `same` that is held, not any longer: to be freed by the caller. */
void *let_go(void);
/* How many objects of s are held. */
unsigned int held_of(const struct kmem_cache *s);

/* What others hold now is to stay as it is; until then nothing is. */
void state_others_have(void);
/* Held patterns, objects and pages all there: NULL, or what is not. */
const char *state_unsound(void);

#endif
