/*
 * peer.c - the loops over malloc and free of the library that this process has loaded:
 * glibc's own, or one that LD_PRELOAD names. PEER=nothing: over functions that do
 * nothing, for what the loops cost; PEER=mmap: pages from the host's kernel.
 *
 * Pages of a malloc are aligned_alloc's, aligned to their size as anyctx's are.
 */
#define _GNU_SOURCE
#include "native.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096UL

static void *(*aligned)(size_t align, size_t size);
static void (*release)(void *p);

static void *aligned_get(unsigned int order)
{
	return aligned(PAGE << order, PAGE << order);
}

static void aligned_put(void *p, unsigned int order)
{
	(void)order;
	release(p);
}

static void *mmap_get(unsigned int order)
{
	void *p = mmap(NULL, PAGE << order, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void mmap_put(void *p, unsigned int order)
{
	munmap(p, PAGE << order);
}

static void *nothing_get(size_t size, unsigned int flags)
{
	static char memory[8192] __attribute__((aligned(4096)));

	(void)size;
	(void)flags;
	return memory;
}

static void nothing_put(void *p)
{
	(void)p;
}

static void *nothing_pages_get(unsigned int order)
{
	(void)order;
	return nothing_get(0, 0);
}

static void nothing_pages_put(void *p, unsigned int order)
{
	(void)p;
	(void)order;
}

static void *(*thread_start(void (*fn)(unsigned int)))(void *)
{
	return (void *(*)(void *))(uintptr_t)fn;
}

/* With one there is no other in the process yet, which some take a short way for. */
static void on_threads(unsigned int n, void (*fn)(unsigned int thread))
{
	pthread_t other;

	if (n > 1 && pthread_create(&other, NULL, thread_start(fn), (void *)1))
		exit(1);
	fn(0);
	if (n > 1)
		pthread_join(other, NULL);
}

int main(int argc, char **argv)
{
	const char *peer = getenv("PEER");
	struct allocator a = {
		.name = peer ? peer : "malloc", .on_threads = on_threads,
		.pages_get = aligned_get, .pages_put = aligned_put,
	};

	*(void **)&a.get = dlsym(RTLD_DEFAULT, "malloc");
	*(void **)&a.put = dlsym(RTLD_DEFAULT, "free");
	*(void **)&aligned = dlsym(RTLD_DEFAULT, "aligned_alloc");
	release = a.put;
	if (peer && !strcmp(peer, "nothing")) {
		a.get = nothing_get;
		a.put = nothing_put;
		a.pages_get = nothing_pages_get;
		a.pages_put = nothing_pages_put;
	} else if (peer && !strcmp(peer, "mmap")) {
		a.pages_get = mmap_get;
		a.pages_put = mmap_put;
	} else {
		Dl_info where;

		if (dladdr(*(void **)&a.get, &where))
			printf("# malloc of %s\n", where.dli_fname);
		fflush(stdout);
	}
	return native_run(&a, argc, argv);
}
