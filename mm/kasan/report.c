/*
 * report.c - what is told of a bad access or free: what it is, in which object, who had
 * that, and the shadow around it.
 *
 * The lines go to the console (unless a test has asked for quiet) and into a text for
 * tests; the first one through mm_report, which counts it and knows the policy
 * (panic_on_bad_free). Any context; no lock. A report may interrupt another one. What
 * goes wrong inside a report is not reported again beyond NEST levels.
 */
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/kasan/private.h"
#include "mm/mm.h"

#define LINE 180
#define TEXT 3000
#define NEST 6
#define SHADOW_BYTES 16

static char text[TEXT]; /* of the newest report: racy, for tests */
static u64 text_used;
static DEFINE_PER_CPU(u64, depth);

static __printf(1, 2) void line(const char *fmt, ...)
{
	char buf[LINE];
	u64 at = text_used, n;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	n = strlen(buf);
	if (at + n + 2 < TEXT) {
		__memcpy(text + at, buf, n);
		text[at + n] = '\n';
		text[at + n + 1] = 0;
		text_used = at + n + 1;
	}
	if (mm_report_wanted())
		printk("kasan: %s\n", buf);
}

const char *kasan_last_report(void)
{
	return text;
}

/* ------------------------------------------------------------------- who had it */

static void print_track(const char *what, const struct kasan_track *t)
{
	char symbol[96];

	if (!t || !t->frames)
		return;
	line("%s on CPU %u in %s:", what, t->cpu, context_name((enum context)t->context));
	for (unsigned int i = 0; i < t->frames && i < KASAN_FRAMES; i++) {
		print_symbol(symbol, sizeof(symbol), (u64)(s64)(s32)t->pc[i]);
		line("  %s", symbol);
	}
}


/* -------------------------------------------------------------- what it is about */

/* One bad access, as far as it is known. */
struct bad {
	u64 addr, size, pc, at; /* at: its first byte that may not be used */
	bool write;
	u8 code;                /* of that byte's shadow, or of the one behind it */
	const struct kasan_track *alloc, *free; /* NULL: not known */
	char where[120];
};

static const char *kind(const struct bad *b)
{
	switch (b->code) {
	case KASAN_STACK_LEFT:
	case KASAN_STACK_MID:
	case KASAN_STACK_RIGHT:
		return "stack out of bounds";
	case KASAN_STACK_SCOPE:
		return "use after scope";
	case KASAN_GLOBAL:
		return "global out of bounds";
	case KASAN_FREE:
		return b->free && b->free->frames ? "use after free" : "use of free memory";
	case KASAN_REDZONE:
		return "out of bounds";
	}
	return "bad access";
}

/* How many bytes from p on may be used, of size at most. */
static u64 usable(u64 p, u64 size)
{
	return kasan_first_bad(p, size) - p;
}

/* Where addr is, seen from something of that size at start. */
static void place(struct bad *b, u64 start, u64 size, const char *what)
{
	if (b->at < start)
		snprintf(b->where, sizeof(b->where), "%lu bytes before %s", start - b->at, what);
	else if (b->at < start + size)
		snprintf(b->where, sizeof(b->where), "%lu bytes into %s", b->at - start, what);
	else
		snprintf(b->where, sizeof(b->where), "%lu bytes behind %s", b->at - start - size, what);
}

/* In a slab: an object, or what lies behind it. */
static void place_object(struct bad *b, struct page *page)
{
	const struct kmem_cache *s = cache_at(page_cpu_off(page));
	struct page *head = slab_head(page);
	u64 start = (u64)pfn_addr(page_pfn(head)), idx = (b->at - start) / s->stride, obj, size;
	char what[80];

	if (idx >= slab_objects(s, head->order))
		idx = slab_objects(s, head->order) - 1;
	obj = (u64)slab_object(s, head, (unsigned int)idx);
	size = s->size;
	b->alloc = &kasan_tracks_of(s, (void *)obj)->alloc;
	b->free = &kasan_tracks_of(s, (void *)obj)->free;
	if (*kasan_shadow(obj) != KASAN_FREE) {
		size = usable(obj, s->size);
		b->code = KASAN_REDZONE;
	} else if (b->at - obj >= size) {
		b->code = KASAN_REDZONE;
	}
	snprintf(what, sizeof(what), "the object of %lu bytes at %lx (%s)", size, obj, s->name);
	place(b, obj, size, what);
}

/* In the middle of a block from alloc_pages or kmalloc, or in a page that is free. */
static void place_page(struct bad *b, u64 pfn)
{
	const struct kasan_track *freed = &kasan_page_tracks(pfn)->free;
	u64 head = pfn;
	char what[80];

	for (unsigned int k = 0; k <= MAX_ORDER; k++) {
		u8 type = READ_ONCE(pfn_page(pfn & ~((1UL << k) - 1))->type);

		head = pfn & ~((1UL << k) - 1);
		if (type != PT_NONE && type != PT_SLAB && pfn_page(head)->order >= k) {
			u64 size = usable((u64)pfn_addr(head), PAGE_SIZE << pfn_page(head)->order);

			b->alloc = &kasan_page_tracks(head)->alloc;
			snprintf(what, sizeof(what), "the block of %lu bytes at %lx", size, (u64)pfn_addr(head));
			place(b, (u64)pfn_addr(head), size, what);
			return;
		}
	}
	head = pfn & ~((1UL << freed->order) - 1);
	b->free = freed;
	b->alloc = &kasan_page_tracks(head)->alloc;
	snprintf(what, sizeof(what), "the free block of order %u at %lx", freed->order, (u64)pfn_addr(head));
	place(b, (u64)pfn_addr(head), PAGE_SIZE << freed->order, what);
}

static void place_heap(struct bad *b)
{
	struct page *page = pfn_page(addr_pfn((void *)b->at));

	if (READ_ONCE(page->type) == PT_SLAB && page_cpu_off(page))
		place_object(b, page);
	else
		place_page(b, page_pfn(page));
}

static void place_global(struct bad *b)
{
	u64 start, size;
	const char *name = kasan_global_at(b->at, &start, &size);
	char what[80];

	if (!name)
		return;
	snprintf(what, sizeof(what), "the variable %s of %lu bytes", name, size);
	place(b, start, size, what);
}

/* ------------------------------------------------------------------------ stack */

/* What the compiler leaves at the lowest address of a frame with redzones. */
struct asan_frame {
	u64 magic;
	const char *vars; /* "2 32 16 5 buf:7 64 4 1 i": how many; offset, size, length of name */
	u64 pc;
};
#define FRAME_MAGIC 0x41b58ab3UL
#define FRAME_MOST (16UL << 10)

static u64 number(const char **p)
{
	u64 n = 0;

	while (**p == ' ')
		++*p;
	for (; **p >= '0' && **p <= '9'; ++*p)
		n = n * 10 + (u64)(**p - '0');
	return n;
}

/* Downwards from the granule to the frame's first redzone, and to the end of that. */
static const struct asan_frame *frame_of(u64 at)
{
	u64 granule = at & ~(KASAN_GRANULE - 1), least = granule - FRAME_MOST;

	while (granule > least && kasan_shadowed(granule) && *kasan_shadow(granule) != KASAN_STACK_LEFT)
		granule -= KASAN_GRANULE;
	while (granule > least && kasan_shadowed(granule) && *kasan_shadow(granule) == KASAN_STACK_LEFT)
		granule -= KASAN_GRANULE;
	granule += KASAN_GRANULE;
	if (*kasan_shadow(granule) != KASAN_STACK_LEFT || *(u64 *)granule != FRAME_MAGIC)
		return NULL;
	return (const struct asan_frame *)granule;
}

/* The last variable that begins at or below the byte, else the first. */
static void place_stack(struct bad *b)
{
	const struct asan_frame *f = frame_of(b->at);
	u64 n, start = 0, size = 0, off = b->at - (u64)f;
	char what[100], symbol[96], name[32] = "";
	const char *p;

	if (!f)
		return;
	p = f->vars;
	n = number(&p);
	for (u64 i = 0; i < n; i++) {
		u64 var = number(&p), bytes = number(&p), len = number(&p);

		if (!i || var <= off) {
			start = var;
			size = bytes;
			snprintf(name, len + 1 < sizeof(name) ? len + 1 : sizeof(name), "%s", p + 1);
		}
		p += 1 + len;
	}
	print_symbol(symbol, sizeof(symbol), f->pc);
	snprintf(what, sizeof(what), "%s (%lu bytes) of %s", name, size, symbol);
	place(b, (u64)f + start, size, what);
}

/* -------------------------------------------------------------------- the report */

static void describe(struct bad *b)
{
	if (b->code >= KASAN_STACK_LEFT && b->code <= KASAN_STACK_SCOPE)
		place_stack(b);
	else if (b->code == KASAN_GLOBAL)
		place_global(b);
	else if (addr_pfn((void *)b->at) < max_pfn && kasan_page_tracks(addr_pfn((void *)b->at)))
		place_heap(b);
}

/* A row of the shadow, the bad granule's in brackets. */
static void print_shadow(u64 at)
{
	u8 *bad = kasan_shadow(at), *from = (u8 *)((u64)bad & ~(SHADOW_BYTES - 1));
	char buf[4 * SHADOW_BYTES + 8];
	int n = 0;

	for (u8 *p = from; p < from + SHADOW_BYTES; p++)
		n += snprintf(buf + n, sizeof(buf) - (size_t)n, p == bad ? "[%02x]" : " %02x", *p);
	line("shadow of %lx:%s", ((u64)from - KASAN_SHADOW_OFFSET) << 3, buf);
}

static bool enter(void)
{
	preempt_disable(); /* one CPU's depth */
	this_cpu_add64(depth, 1);
	return this_cpu_read64(depth) <= NEST;
}

static void leave(void)
{
	this_cpu_add64(depth, -1);
	preempt_enable();
}

void kasan_report(u64 addr, u64 size, bool write, u64 pc)
{
	struct bad b = { .addr = addr, .size = size, .write = write, .pc = pc };
	char call[48], symbol[96];

	if (kasan_reader_may(addr, size))
		return;
	if (enter()) {
		text_used = 0;
		b.at = kasan_first_bad(addr, size);
		b.code = *kasan_shadow(b.at);
		if (b.code < KASAN_GRANULE) /* a part of it may be used: the next one tells why */
			b.code = *kasan_shadow(b.at + KASAN_GRANULE);
		describe(&b);
		print_symbol(symbol, sizeof(symbol), pc);
		line("%s: %s of %lu bytes at %lx by %s", kind(&b), write ? "write" : "read", size, addr, symbol);
		line("%s", b.where);
		print_track("allocated", b.alloc);
		print_track("freed", b.free);
		print_shadow(b.at);
		snprintf(call, sizeof(call), "%s of %lu", write ? "write" : "read", size);
		mm_report(call, (void *)addr, "%s, %s", kind(&b), b.where);
	}
	leave();
}

void kasan_report_free(const char *call, const struct kmem_cache *s, const void *obj)
{
	if (enter()) {
		text_used = 0;
		line("%s of an object of %s at %lx that is free already", call, s->name, (u64)obj);
		print_track("allocated", &kasan_tracks_of(s, obj)->alloc);
		print_track("freed", &kasan_tracks_of(s, obj)->free);
		mm_report(call, obj, "an object of %s that is free already (double free)", s->name);
	}
	leave();
}
