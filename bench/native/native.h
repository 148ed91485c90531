/*
 * native.h - what the loops of make bench-native (loops.c) ask of the program that they
 * are linked into: peer.c (malloc of whatever library is loaded) or anyctx.c (the hosted
 * build of anyctx). Both are linked with the same object of loops.c.
 */
#ifndef NATIVE_H
#define NATIVE_H

#include <stddef.h>

/* flags: for anyctx; a malloc does not look at its second argument. */
struct allocator {
	const char *name;
	void *(*get)(size_t size, unsigned int flags);
	void (*put)(void *p);
	unsigned int flags;
	/* 2^order pages, by their address; each is touched by who gets them. */
	void *(*pages_get)(unsigned int order);
	void (*pages_put)(void *p, unsigned int order);
	/* Run fn on n threads, 1 or 2, this one is number 0; returns when all have. */
	void (*on_threads)(unsigned int n, void (*fn)(unsigned int thread));
};

/* Run the groups of cases named in argv; figures to standard output. Exit status. */
int native_run(const struct allocator *a, int argc, char **argv);

#endif
