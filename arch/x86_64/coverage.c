/*
 * coverage.c - how often each line of mm/ ran, out through QEMU's debugcon when the
 * machine ends. Only in a kernel built with COVERAGE=yes, for tools/coverage.py; else
 * the table is empty and nothing is written.
 *
 * The compiler makes a struct gcov_info for each object file, with pointers in the
 * section gcov_info; its counters are changed by locked instructions, so none is lost
 * however calls nest. This file knows those structures as gcc 10 to 15 make them, and
 * writes what is in them as plain words; the tool makes gcov's own format of that.
 *
 * Any context; the other CPUs may go on meanwhile and be counted or not.
 */
#include <arch/console.h>
#include "private.h"

#if __GNUC__ >= 14
#define NR_COUNTERS 9
#else
#define NR_COUNTERS 8
#endif

/* What tells one compilation from another: a checksum too, since gcc 12. */
#if __GNUC__ >= 12
#define STAMP_WORDS 2
#else
#define STAMP_WORDS 1
#endif

struct gcov_counters {
	u32 n;
	s64 *value;
};

struct gcov_function {
	const struct gcov_info *key; /* whose it is, if several files have it */
	u32 ident, lineno_checksum, cfg_checksum;
	struct gcov_counters arcs; /* the one kind there is */
};

struct gcov_info {
	u32 version;
	struct gcov_info *next;
	u32 stamp[STAMP_WORDS];
	const char *filename;
	void (*merge[NR_COUNTERS])(s64 *, u32);
	u32 n_functions;
	const struct gcov_function *const *functions;
};

extern struct gcov_info *const __start_gcov_info[], *const __stop_gcov_info[];

#define MAGIC 0x766f6367 /* "gcov" */

/* Pointed to by each structure; called by nobody here. */
void __gcov_merge_add(s64 *value, u32 n);
void __gcov_merge_add(s64 *value, u32 n)
{
	(void)value;
	(void)n;
}

static void put(const void *p, size_t n)
{
	arch_debugcon_write(p, n);
}

static void put32(u32 v)
{
	put(&v, sizeof(v));
}

static void put_function(const struct gcov_function *f)
{
	put32(f->ident);
	put32(f->lineno_checksum);
	put32(f->cfg_checksum);
	put32(f->arcs.n);
	put(f->arcs.value, f->arcs.n * sizeof(*f->arcs.value));
}

static bool is_own(const struct gcov_info *info, const struct gcov_function *f)
{
	return f && f->key == info;
}

static void put_file(const struct gcov_info *info)
{
	u32 length = 0, own = 0;

	while (info->filename[length])
		length++;
	for (u32 i = 0; i < info->n_functions; i++)
		own += is_own(info, info->functions[i]);
	put32(MAGIC);
	put32(info->version);
	put32(STAMP_WORDS);
	put(info->stamp, sizeof(info->stamp));
	put32(length);
	put(info->filename, length);
	put32(own);
	for (u32 i = 0; i < info->n_functions; i++)
		if (is_own(info, info->functions[i]))
			put_function(info->functions[i]);
}

void coverage_dump(void)
{
	for (struct gcov_info *const *info = __start_gcov_info; info < __stop_gcov_info; info++)
		put_file(*info);
}
