/*
 * slab_debug_help.c - what the cases of slab debugging share (slab_debug.h).
 */
#include "tests/slab_debug.h"
#include "kernel/printk.h"
#include "tests/badcall.h"
#include "tests/test.h"

#define MAX_SLABS 4

struct kmem_cache *debug_cache;
void *debug_obj, *debug_other, *debug_got;
static struct page *slabs[MAX_SLABS]; /* in which something was found */
static unsigned int nr_slabs;

bool debug_begin(unsigned int flags, void (*ctor)(void *))
{
	debug_cache = kmem_cache_create("debugged", DEBUG_SIZE, 0, flags, ctor);
	if (!debug_cache)
		return false;
	debug_obj = kmem_cache_alloc(debug_cache, GFP_KERNEL);
	debug_other = kmem_cache_alloc(debug_cache, GFP_KERNEL);
	EXPECT(debug_obj && debug_other && obj_slab(debug_obj) == obj_slab(debug_other));
	nr_slabs = 0;
	slabs[nr_slabs++] = obj_slab(debug_obj);
	return debug_obj && debug_other;
}

/* What is in use stays so; all the others are free again. */
static void make_whole(struct page *head)
{
	struct kmem_cache *s = debug_cache;

	head->isolated = 0;
	for (unsigned int i = 0; i < slab_objects(s, head->order); i++) {
		void *obj = slab_object(s, head, i);

		if (!mark_get(obj, s->offset) || object_is_free(s, obj))
			continue;
		debug_scribble(obj, -(s64)s->red_left, 0xcc, s->red_left);
		debug_scribble(obj, s->size, 0xcc, s->offset - s->size);
		mark_set(obj, s->offset, 0);
		in_use_again(s, obj);
		kmem_cache_free(s, obj);
	}
}

void debug_end(void)
{
	if (debug_obj)
		kmem_cache_free(debug_cache, debug_obj);
	if (debug_other)
		kmem_cache_free(debug_cache, debug_other);
	for (unsigned int i = 0; i < nr_slabs; i++)
		make_whole(slabs[i]);
	EXPECT_EQ(kmem_cache_destroy(debug_cache), 0);
}

void debug_scribble(void *obj, s64 at, u8 byte, size_t n)
{
	debug_fill((u8 *)obj + at, byte, n);
}

void debug_expect(void (*fn)(void *), void *arg, const char *call, const void *ptr, enum context ctx,
		  unsigned int cpu, const char *text)
{
	struct bad_call b = { fn, arg, call, ptr, text };

	expect_bad_in(&b, ctx, cpu);
}

void debug_everywhere(void (*each)(enum context ctx, unsigned int cpu))
{
	unsigned int last = num_online_cpus() - 1;

	for (unsigned int ctx = 0; ctx < NR_PLACES; ctx++) {
		each((enum context)ctx, 0);
		if (last)
			each((enum context)ctx, last);
	}
}

void debug_free(void *p)
{
	kfree_nolock(p);
}

void debug_alloc(void *unused)
{
	(void)unused;
	debug_got = kmem_cache_alloc_nolock(debug_cache, 0, NUMA_NO_NODE);
}
