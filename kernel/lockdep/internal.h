/*
 * internal.h - the inside of the lock checker: classes and the graph of their order
 * (class.c, graph.c), what each CPU holds (held.c), the rules (rules.c), the
 * reports (report.c). docs/design-lockdep.md has the invariants.
 *
 * All functions: any context, any instruction.
 */
#ifndef KERNEL_LOCKDEP_INTERNAL_H
#define KERNEL_LOCKDEP_INTERNAL_H

#include <anyctx/lockdep.h>
#include <anyctx/percpu.h>
#include "kernel/context.h"

/* ---- where something happened */
#define TRACE_FRAMES 7
struct trace {
	u64 at[TRACE_FRAMES];
	u16 n, cpu;
	u32 ctx;
};
/* The caller's callers, from frame pointer rbp on. */
void trace_take(struct trace *t, u64 rbp);

/* ---- classes */
#define MAX_CLASSES 512
#define MAP_WORDS (MAX_CLASSES / 64)

/* What has been seen of a class, and what must not come together on a chain: who is at
 * the first of a pair has to get on for who is at the second, and cannot. */
enum usage {
	USED_IN_IRQ,     /* waited for in an interrupt, ... */
	HELD_IRQS_ON,    /* ... and held where an interrupt may come */
	WAITED_IRQS_OFF, /* waited for with interrupts off, ... */
	NEEDS_IRQS,      /* ... and over until other CPUs have served interrupts */
	NR_USAGE,
};

struct lock_class {
	u64 key;          /* 0: none yet */
	const char *name; /* or NULL: the key is an address */
	u32 usage;        /* bits by enum usage */
	u32 told;         /* usages whose `how` is there */
	u64 after[MAP_WORDS]; /* classes that were waited for while one of this was held */
	struct trace how[NR_USAGE];
};

extern struct lock_class lock_classes[MAX_CLASSES];
/* NULL: the table is full, which was reported. */
struct lock_class *class_of(const void *lock, const struct lock_site *site);
/* Its name, for a report. */
void class_name(char *buf, size_t size, const struct lock_class *c);
/* True: it is new. */
bool class_use(struct lock_class *c, enum usage u, const struct trace *t);

static inline u32 class_index(const struct lock_class *c)
{
	return (u32)(c - lock_classes);
}

/* ---- the graph */

/* An edge's two places: `from` was taken, then `to` waited for. */
struct edge {
	u32 pair;  /* indices of the classes, + 1: 0 is none */
	u32 ready; /* the traces are there */
	struct trace taken, waited;
};
#define MAX_EDGES 1024
extern struct edge lock_edges[MAX_EDGES];
/* True: it is new. */
bool graph_add(struct lock_class *from, struct lock_class *to, const struct trace *taken,
	       const struct trace *waited);
/* NULL: it has not been written yet, or there was no room. */
const struct edge *graph_edge(u32 from, u32 to);

/* A search, breadth first; parent[] leads back from what was found. */
struct search {
	u64 seen[MAP_WORDS];
	u16 queue[MAX_CLASSES], parent[MAX_CLASSES];
};
/* The nearest class from which `start` is reached (back), or which it reaches, that is
 * goal, or has the usage bit if goal is negative; -1: none. start itself counts for a usage. */
int graph_search(struct search *s, u32 start, bool back, int goal, enum usage u);

/* ---- what a CPU holds */
#define MAX_HELD 64
enum held_state { HELD_FREE, HELD_CLAIMED, HELD_NOW, HELD_GONE };
struct held {
	u32 state; /* enum held_state */
	u32 how;   /* enum lock_how */
	const void *lock;
	struct lock_class *class;
	u64 depth; /* context_depth when it was taken */
	struct trace at;
};
#define MAX_SAVED 8 /* of a thread, while another runs */
struct held_cpu {
	u64 n;     /* of stack[]: those above are HELD_FREE */
	u64 quiet; /* above 0: this CPU tells a report, and nothing is watched */
	struct held stack[MAX_HELD];
};
DECLARE_PER_CPU(struct held_cpu, held_cpu);
void held_push(const void *lock, struct lock_class *c, enum lock_how how, u64 rbp);
/* The newest one of that lock goes; false: there is none. */
bool held_drop(const void *lock);
/* The i-th, i < n; NULL: nothing is held by it. */
const struct held *held_at(u64 i);
u64 held_count(void);

/* ---- the rules; each reports what breaks it */
void rules_wait(const void *lock, struct lock_class *c, enum lock_how how, u64 rbp);
void rules_taken(struct lock_class *c, enum lock_how how, u64 rbp);

/* ---- reports */
/* False: not now, as this CPU tells one already, or the checker is off. */
bool report_possible(void);
/* The checker is off from here on: a table is full. */
void report_full(const char *table);
/* It is on again, as a test wants it that has filled one: there is room, and no CPU has
 * taken or given back anything meanwhile but in pairs. */
void report_on_again(void);
void report_context(const struct lock_class *c, enum lock_how how, const char *where, u64 rbp);
void report_recursion(const struct lock_class *c, const struct held *h, u64 rbp);
/* Waiting for `to` while `h` is held closes a circle; s has the way from `to` to it. */
void report_order(const struct held *h, const struct lock_class *to, const struct search *s, u64 rbp);
/* The chain from the class with usage a to that with b; the halves meet at from -> to,
 * or from == to: at that class. */
void report_usage(enum usage a, enum usage b, int first, int last, u32 from, u32 to, const struct search *back,
		  const struct search *on, u64 rbp);
void report_not_held(const void *lock, u64 rbp);
void report_still_held(const char *what, u64 mark, u64 rbp);

#endif
