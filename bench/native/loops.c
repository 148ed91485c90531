/*
 * loops.c - the loops that make bench-native times, the same object for all allocators.
 *
 * A case is run in slices of some 100 us, after a warm-up. Slices in which the host took
 * a thread's processor away do not count; who waits in the allocator is timed. Each case prints "@ case|column|median|minimum|slices", in
 * nanoseconds an operation; tools/bench-native.py reads that. Nothing is subtracted: the
 * allocator "nothing" shows what the loops cost by themselves. Whoever gets an object
 * writes its first word.
 *
 * Groups: "one" and "two" threads, each for itself; "cross", from one to the other; "pages";
 * "memory-even" and "memory-log", the peak of a random load: a process each.
 *
 * No calls into the C library while a clock runs, and no other memory than static: in the
 * hosted build the string functions are anyctx's.
 */
#define _GNU_SOURCE
#include "native.h"
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define THREADS 2
#define SLICES 60
#define WARM 6         /* slices before them */
#define ROW 256
#define SLOTS 10000
#define PICKS 65536    /* a power of two */
#define RING 1024      /* objects under way between the threads; a power of two */
#define BATCH 32       /* handed over at once */
#define LOAD_SLOTS 50000
#define LOAD_STEPS 1000000

static const struct allocator *a;

/* What each thread works with. */
static struct work {
	void *slot[SLOTS];
	double ns[SLICES];   /* of slices that count; */
	double lost[SLICES]; /* and of the others */
	unsigned int n, nr_lost;
} __attribute__((aligned(64))) work[THREADS];

/* The case under way. */
static struct {
	void (*slice)(unsigned int thread);
	size_t size;
	unsigned int order, threads;
	unsigned int ops; /* a slice */
	bool read;
} now;

static struct {
	uint16_t slot, size;
} pick[PICKS];

static void __attribute__((noreturn)) die(const char *why)
{
	dprintf(STDERR_FILENO, "%s: %s\n", a->name, why);
	_exit(1);
}

static uint64_t random64(void)
{
	static uint64_t x = 88172645463325252;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static double clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static long switches(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u); /* of all threads: if one does not run the other waits for it */
	return u.ru_nivcsw;
}

/* Thread i on the i-th processor that this process may use. */
static void pin(unsigned int thread)
{
	static cpu_set_t all;
	static int known;
	cpu_set_t one;
	unsigned int i = 0;

	if (!thread && !known++)
		sched_getaffinity(0, sizeof(all), &all);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || i++ != thread)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
	}
}

/* ---- the loops ---- */

static inline void *get_by(void *(*get)(size_t, unsigned int), size_t size, unsigned int flags)
{
	uint64_t *p = get(size, flags);

	if (__builtin_expect(!p, 0))
		die("no memory");
	*(volatile uint64_t *)p = 1;
	return p;
}

static void *get(size_t size)
{
	return get_by(a->get, size, a->flags);
}

/* The loops keep what they call in registers. */
static void pair(unsigned int thread)
{
	const struct allocator al = *a;
	size_t size = now.size;

	(void)thread;
	for (unsigned int i = now.ops; i; i--)
		al.put(get_by(al.get, size, al.flags));
}

static void row(unsigned int thread)
{
	const struct allocator al = *a;
	void **slot = work[thread].slot;
	size_t size = now.size;

	for (unsigned int k = now.ops; k; k -= ROW) {
		for (unsigned int i = 0; i < ROW; i++)
			slot[i] = get_by(al.get, size, al.flags);
		for (unsigned int i = 0; i < ROW; i++)
			al.put(slot[i]);
	}
}

/* Put what is in a slot by chance, get another for it; the size by chance as well, or given. */
static void replace(unsigned int thread)
{
	static uint32_t at[THREADS * 16];
	const struct allocator al = *a;
	void **slot = work[thread].slot;
	uint32_t k = at[thread * 16];
	size_t size = now.size;

	for (unsigned int i = now.ops; i; i--, k++) {
		void **s = &slot[pick[k % PICKS].slot];

		al.put(*s);
		*s = get_by(al.get, size ? size : pick[k % PICKS].size, al.flags);
	}
	at[thread * 16] = k;
}

static void replace_begin(unsigned int thread)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		work[thread].slot[i] = get(now.size ? now.size : pick[i].size);
}

static void replace_end(unsigned int thread)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		a->put(work[thread].slot[i]);
}

static void *pages_of(unsigned int order)
{
	char *p = a->pages_get(order);

	if (!p)
		die("no pages");
	*(volatile char *)p = 1;
	return p;
}

static void pages(unsigned int thread)
{
	(void)thread;
	for (unsigned int i = now.ops; i; i--)
		a->pages_put(pages_of(now.order), now.order);
}

static void pages_row(unsigned int thread)
{
	void **slot = work[thread].slot;

	for (unsigned int i = 0; i < now.ops; i++)
		slot[i] = pages_of(now.order);
	for (unsigned int i = 0; i < now.ops; i++)
		a->pages_put(slot[i], now.order);
}

/* ---- from thread 1 to thread 0: 0 frees what 1 has got, and may read it before, as who
 * is given an object would. Each slice of 0 is timed. ---- */

static struct {
	void *slot[RING];
	uint64_t head __attribute__((aligned(64))); /* thread 1 has put so many */
	uint64_t tail __attribute__((aligned(64))); /* thread 0 has taken so many */
	int stop __attribute__((aligned(64)));
} ring;

static void relax(void)
{
	__builtin_ia32_pause();
}

static void ring_fill(void)
{
	uint64_t head = 0;

	while (!__atomic_load_n(&ring.stop, __ATOMIC_RELAXED)) {
		if (head - __atomic_load_n(&ring.tail, __ATOMIC_ACQUIRE) > RING - BATCH) {
			relax();
			continue;
		}
		for (unsigned int i = 0; i < BATCH; i++)
			ring.slot[head++ % RING] = get(now.size);
		__atomic_store_n(&ring.head, head, __ATOMIC_RELEASE);
	}
}

static void ring_drain(unsigned int thread)
{
	uint64_t tail = ring.tail;

	(void)thread;
	for (unsigned int n = 0; n < now.ops; n += BATCH) {
		while (__atomic_load_n(&ring.head, __ATOMIC_ACQUIRE) - tail < BATCH)
			relax();
		for (unsigned int i = 0; i < BATCH; i++) {
			uint64_t *p = ring.slot[tail++ % RING];

			if (now.read)
				(void)*(volatile uint64_t *)p;
			a->put(p);
		}
		__atomic_store_n(&ring.tail, tail, __ATOMIC_RELEASE);
	}
}

/* ---- a case ---- */

/* With two threads both have to run; whose slice the host cuts short does not count. */
static void slices(unsigned int thread)
{
	struct work *w = &work[thread];

	for (unsigned int i = 0; i < WARM + SLICES; i++) {
		long before = switches();
		double t = clock_ns();

		now.slice(thread);
		t = clock_ns() - t;
		if (i < WARM)
			continue;
		if (switches() == before)
			w->ns[w->n++] = t / now.ops;
		else
			w->lost[w->nr_lost++] = t / now.ops;
	}
}

static void meet(void)
{
	static unsigned int came;
	unsigned int goal;

	goal = (__atomic_fetch_add(&came, 1, __ATOMIC_SEQ_CST) / now.threads + 1) * now.threads;
	while (__atomic_load_n(&came, __ATOMIC_SEQ_CST) < goal)
		if (now.threads > 1)
			sched_yield();
}

static void thread_main(unsigned int thread)
{
	pin(thread);
	if (now.slice == replace)
		replace_begin(thread);
	if (now.threads > 1)
		meet();
	if (now.slice != ring_drain) {
		slices(thread);
	} else if (thread) {
		ring_fill();
	} else {
		slices(thread);
		__atomic_store_n(&ring.stop, 1, __ATOMIC_RELAXED);
	}
	if (now.slice == replace)
		replace_end(thread);
}

static int by_value(const void *x, const void *y)
{
	double p = *(const double *)x, q = *(const double *)y;

	return p < q ? -1 : p > q;
}

/* What is left of the ring goes back; the next case finds it empty. */
static void ring_end(void)
{
	for (uint64_t i = ring.tail; i < ring.head; i++)
		a->put(ring.slot[i % RING]);
	ring.head = ring.tail = 0;
	ring.stop = 0;
}

/* All slices that count, sorted; if there are none, those that lost the processor: all
 * of a slow allocator's may be. */
static unsigned int gather(double *all, unsigned int threads)
{
	unsigned int n = 0;

	for (unsigned int t = 0; t < threads; t++)
		for (unsigned int i = 0; i < work[t].n; i++)
			all[n++] = work[t].ns[i];
	for (unsigned int t = 0; t < threads && !n; t++)
		for (unsigned int i = 0; i < work[t].nr_lost; i++)
			all[n++] = work[t].lost[i];
	qsort(all, n, sizeof(all[0]), by_value);
	return n;
}

static void run_case(const char *name, const char *column, void (*slice)(unsigned int), unsigned int threads,
		     unsigned int ops)
{
	static double all[THREADS * SLICES];
	unsigned int n;

	now.slice = slice;
	now.threads = threads;
	now.ops = ops;
	for (unsigned int t = 0; t < THREADS; t++)
		work[t].n = work[t].nr_lost = 0;
	a->on_threads(threads, thread_main);
	ring_end();
	n = gather(all, threads);
	dprintf(STDOUT_FILENO, "@ %s|%s|%.3f|%.3f|%u\n", name, column, all[n / 2], all[0], n);
}

static void by_threads(const char *name, const char *column, void (*slice)(unsigned int), unsigned int threads,
		       unsigned int ops)
{
	char full[64];

	strcpy(full, name);
	strcpy(full + strlen(full), threads == 1 ? ", 1 thread" : ", 2 threads");
	run_case(full, column, slice, threads, ops);
}

static void size_case(const char *name, size_t size, void (*slice)(unsigned int), unsigned int threads,
		      unsigned int ops)
{
	char column[16], *c = column + sizeof(column) - 1;
	size_t left = size;

	*c = 0;
	do
		*--c = (char)('0' + left % 10);
	while (left /= 10);
	now.size = size;
	by_threads(name, c, slice, threads, ops);
}

static void group_local(unsigned int threads)
{
	static const size_t sizes[] = { 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096, 8192 };

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		size_case("pair", sizes[i], pair, threads, 20000);
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		size_case("256 in a row", sizes[i], row, threads, 20 * ROW);
	size_case("random replace", 64, replace, threads, 10000);
	size_case("random replace", 1024, replace, threads, 10000);
	now.size = 0;
	by_threads("random replace", "16-1024", replace, threads, 10000);
}

static void group_cross(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		static const char *const names[] = { "freed by another", "read and freed by another" };

		now.read = i;
		size_case(names[i], 64, ring_drain, 2, 200 * BATCH);
		size_case(names[i], 256, ring_drain, 2, 200 * BATCH);
		size_case(names[i], 1024, ring_drain, 2, 200 * BATCH);
	}
}

static void group_pages(void)
{
	static const unsigned int orders[] = { 0, 3, 9 };
	static const char *const names[] = { "order 0", "order 3", "order 9" };

	for (unsigned int threads = 1; threads <= THREADS; threads++)
		for (unsigned int i = 0; i < 3; i++) {
			now.order = orders[i];
			by_threads("pages, pair", names[i], pages, threads, i < 2 ? 200 : 20);
			by_threads("pages, in a row", names[i], pages_row, threads, i < 2 ? 128 : 16);
		}
}

/* ---- peak memory: LOAD_SLOTS objects of sizes by chance, replaced by chance ---- */

static unsigned long peak_kib(void)
{
	static char text[8192];
	FILE *f = fopen("/proc/self/status", "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	const char *line;

	if (f)
		fclose(f);
	text[n] = 0;
	line = strstr(text, "VmHWM:");
	return line ? strtoul(line + 6, NULL, 10) : 0;
}

static size_t size_even(void)
{
	return 16 + random64() % 1009;
}

/* 8 to 8192, each doubling as often as the others. */
static size_t size_log(void)
{
	size_t base = 8UL << random64() % 10;

	return base + random64() % base;
}

static void *load_slot[LOAD_SLOTS];
static size_t load_size[LOAD_SLOTS];

static void load_renew(unsigned int i, size_t size, size_t *live, size_t *most)
{
	if (load_slot[i])
		a->put(load_slot[i]);
	*live += size - load_size[i];
	if (*live > *most)
		*most = *live;
	load_size[i] = size;
	load_slot[i] = get(size);
	for (size_t off = 0; off < size; off += 4096)
		((volatile char *)load_slot[i])[off] = 1;
	((volatile char *)load_slot[i])[size - 1] = 1;
}

static void load(unsigned int thread, const char *column, size_t (*size)(void))
{
	size_t live = 0, most = 0;

	(void)thread;
	for (unsigned int i = 0; i < LOAD_SLOTS; i++)
		load_renew(i, size(), &live, &most);
	for (unsigned int i = 0; i < LOAD_STEPS; i++)
		load_renew((unsigned int)(random64() % LOAD_SLOTS), size(), &live, &most);
	dprintf(STDOUT_FILENO, "# most at once %.1f MiB\n", (double)most / 1048576);
	dprintf(STDOUT_FILENO, "@ peak memory, %% of bytes asked|%s|%.3f|%.3f|1\n", column,
		(double)peak_kib() * 102400 / (double)most, (double)peak_kib() * 102400 / (double)most);
}

static void load_even(unsigned int thread)
{
	load(thread, "16-1024", size_even);
}

static void load_log(unsigned int thread)
{
	load(thread, "8-8192", size_log);
}

int native_run(const struct allocator *which, int argc, char **argv)
{
	a = which;
	for (unsigned int i = 0; i < PICKS; i++) {
		pick[i].slot = (uint16_t)(random64() % SLOTS);
		pick[i].size = (uint16_t)size_even();
	}
	pin(0);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "one"))
			group_local(1);
		else if (!strcmp(argv[i], "two"))
			group_local(2);
		else if (!strcmp(argv[i], "cross"))
			group_cross();
		else if (!strcmp(argv[i], "pages"))
			group_pages();
		else if (!strcmp(argv[i], "memory-even"))
			a->on_threads(1, load_even);
		else if (!strcmp(argv[i], "memory-log"))
			a->on_threads(1, load_log);
		else
			die("unknown group");
	}
	return 0;
}
