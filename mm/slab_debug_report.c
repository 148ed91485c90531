/*
 * slab_debug_report.c - telling what was found in a debugged cache.
 *
 * The first line is that of every bad call (report.c): which call, which object, what.
 * Before it come the details: the bytes around the first wrong one, who allocated the
 * object and who freed it last, its slab, and the state of the allocator. Each of those
 * lines begins with the object's address, as lines of several CPUs may mix.
 *
 * Only the slab that the object lies in is read, which the caller has made sure of.
 * Takes no lock. Any context.
 */
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "mm/mm.h"
#include "mm/slab_debug.h"

#define AROUND 16 /* bytes shown before the first wrong one, and as many from there */

static const char *const kinds[NR_FAULTS] = {
	[FAULT_RED_LEFT] = "red zone before the object",
	[FAULT_RED_RIGHT] = "red zone behind the object",
	[FAULT_POISON] = "object was written to while it was free",
	[FAULT_WORD] = "the allocator's word behind the object",
};

static void print_bytes(const struct kmem_cache *s, const void *obj, s64 from, s64 end)
{
	char line[AROUND * 3 + 1];
	unsigned int n = 0;

	if (from < -(s64)s->red_left)
		from = -(s64)s->red_left;
	if (end > (s64)(s->stride - s->red_left))
		end = s->stride - s->red_left;
	for (s64 i = from; i < end; i++)
		n += (unsigned int)snprintf(line + n, sizeof(line) - n, " %02x", ((const u8 *)obj)[i]);
	if (n)
		printk("  %lx: bytes from %ld on:%s\n", (u64)obj, from, line);
}

static void print_track(const struct kmem_cache *s, const void *obj, enum track which)
{
	const struct slab_track *t = slab_debug_track(s, obj, which);
	const char *what = which == TRACK_ALLOC ? "allocated" : "freed";
	char symbol[96];

	if (!t->used) {
		printk("  %lx: never %s\n", (u64)obj, what);
		return;
	}
	printk("  %lx: %s on CPU %u in %s by\n", (u64)obj, what, t->cpu,
	       t->context < NR_CONTEXT ? context_name((enum context)t->context) : "?");
	for (unsigned int i = 0; i < TRACK_ADDRS && t->addr[i]; i++) {
		print_symbol(symbol, sizeof(symbol), t->addr[i]);
		printk("  %lx:   %s\n", (u64)obj, symbol);
	}
}

static void print_details(const struct kmem_cache *s, const void *obj, const struct slab_fault *f)
{
	const struct page *head = obj_slab(obj);
	u64 st = load(&head->state);

	printk("slab debug: object %lx of %s, %u bytes, number %d of %u of the slab at %lx, %u of them free, %s\n",
	       (u64)obj, s->name, s->size, slab_index(s, head, obj), slab_objects(s, head->order),
	       (u64)pfn_addr(page_pfn(head)), ST_FREE(st), head->isolated ? "isolated" : "in use");
	if (f->kind != FAULT_FREE_ALREADY) {
		print_bytes(s, obj, f->at - AROUND, f->at);
		print_bytes(s, obj, f->at, f->at + AROUND);
	}
	if (s->flags & SLAB_STORE_USER) {
		print_track(s, obj, TRACK_ALLOC);
		print_track(s, obj, TRACK_FREE);
	}
	mm_print_meminfo();
}

void slab_debug_report(const char *call, struct kmem_cache *s, const void *obj, const struct slab_fault *f)
{
	if (mm_report_wanted())
		print_details(s, obj, f);
	if (f->kind == FAULT_FREE_ALREADY)
		mm_report(call, obj, "an object of %s that is free already (double free)", s->name);
	else
		mm_report(call, obj, "%s: %s: byte %ld is %02x, not %02x, %lu in all; slab isolated", s->name,
			  kinds[f->kind], f->at, f->is, f->should, f->length);
}
