/*
 * slab.h - objects: kmalloc and its relatives, and caches of equal objects.
 *
 * Contexts. Calls ending in _nolock may be made at any instruction, in any
 * context, and so may kmem_cache_size. kmalloc, kmalloc_node, kzalloc, krealloc, kfree,
 * kfree_bulk, ksize, and kmem_cache_alloc and kmem_cache_free, also in bulk, may be made
 * from thread and hard interrupt context. kmem_cache_create: thread. kmem_cache_destroy,
 * kmem_cache_shrink and defer_free_barrier wait for other CPUs: thread, interrupts on.
 * These four look whether it is so; else it is a panic that names the call.
 *
 * Any pointer, either call: kfree and kfree_nolock take whatever any of the
 * allocation calls here or in gfp.h returned, of any size.
 *
 * Sizes. 0 gives ZERO_SIZE_PTR, which is not NULL, must not be dereferenced
 * and may be freed. Up to KMALLOC_MAX_SIZE (4 MiB); above it a report and NULL.
 * Alignment is at least 8, from 9 bytes on 16; a power of two is aligned to itself (up to 4 KiB).
 *
 * Failure is NULL, and then no free memory for that size is left in the memory
 * the call may use. A bad call (an argument out of range; a free that is double, wild or
 * into the middle) is reported with call, pointer and CPU, and ignored; `panic_on_bad_free=1`
 * makes each a panic. NULL for want of memory is no bad call, and is not reported.
 */
#ifndef ANYCTX_SLAB_H
#define ANYCTX_SLAB_H

#include <anyctx/config.h>
#include <anyctx/gfp.h>

#define KMALLOC_MAX_CACHE_SIZE 8192UL
#define KMALLOC_MAX_SIZE (PAGE_SIZE << MAX_ORDER)
#define ZERO_SIZE_PTR ((void *)16)
#define ZERO_OR_NULL_PTR(p) ((u64)(p) <= (u64)ZERO_SIZE_PTR)

void *kmalloc(size_t size, gfp_t gfp); /* also inline, below */
void *kzalloc(size_t size, gfp_t gfp);
void *kmalloc_node(size_t size, gfp_t gfp, int node);
/*
 * New size, same first bytes. From NULL or ZERO_SIZE_PTR: as kmalloc; to size 0: as
 * kfree, and ZERO_SIZE_PTR. It may return p itself; NULL (no memory, or a bad call,
 * which is reported) leaves the old block as it was. With __GFP_ZERO all bytes from
 * the old block's end, as ksize tells it, to the new one's are zero, and so are
 * those that a smaller size gives up; whoever gives the flag in every call of a
 * block's life finds zeros in all that is new to him.
 */
void *krealloc(void *p, size_t size, gfp_t gfp);
void kfree(const void *p);
/* The bytes that may be used at p; 0 for NULL and ZERO_SIZE_PTR. */
size_t ksize(const void *p);

void *kmalloc_nolock(size_t size, gfp_t gfp, int node); /* also inline, below */
void kfree_nolock(const void *p);

/*
 * kmalloc and kmalloc_nolock where the compiler knows size, flags and node: it then
 * knows the cache too. class: from 1, by size; flags of GFP_PLAIN only. The same
 * contexts and failure. Not to be called by hand: the inline forms below do.
 */
void *__kmalloc_class(u32 class, gfp_t gfp);
void *__kmalloc_nolock_class(u32 class, gfp_t gfp);
void *__kmalloc_any(size_t size, gfp_t gfp) __asm__("kmalloc");
void *__kmalloc_nolock_any(size_t size, gfp_t gfp, int node) __asm__("kmalloc_nolock");

extern __always_inline __attribute__((gnu_inline)) u32 __kmalloc_class_of(size_t size)
{
	u32 k;

	if (size <= 16)
		return size <= 8 ? 1 : 2;
	if (size <= 128)
		return 1 + (u32)((size + 15) / 16);
	k = 63 - (u32)__builtin_clzl(size - 1); /* four from 2^k to 2^(k + 1), up to 8 KiB */
	return 10 + (k - 7) * 4 + (u32)((size - 1 - (1UL << k)) >> (k - 2));
}

extern __always_inline __attribute__((gnu_inline)) void *kmalloc(size_t size, gfp_t gfp)
{
	if (!CONFIG_KASAN && __builtin_constant_p(size) && size - 1 < KMALLOC_MAX_CACHE_SIZE && __builtin_constant_p(gfp) &&
	    !(gfp & ~GFP_PLAIN))
		return __kmalloc_class(__kmalloc_class_of(size), gfp);
	return __kmalloc_any(size, gfp);
}

extern __always_inline __attribute__((gnu_inline)) void *kmalloc_nolock(size_t size, gfp_t gfp, int node)
{
	if (!CONFIG_KASAN && __builtin_constant_p(size) && size - 1 < KMALLOC_MAX_CACHE_SIZE && __builtin_constant_p(gfp | node) &&
	    !(gfp & ~GFP_PLAIN) && node == NUMA_NO_NODE)
		return __kmalloc_nolock_class(__kmalloc_class_of(size), gfp);
	return __kmalloc_nolock_any(size, gfp, node);
}

/* A cache of objects of one size. */
struct kmem_cache;

#define SLAB_HWCACHE_ALIGN (1u << 0) /* align to 64 bytes (or a divisor, if small) */
#define SLAB_PANIC (1u << 1)         /* a failed create is a panic */
#define SLAB_ACCOUNT (1u << 2)       /* the active group pays for each object: memcg.h */
/*
 * An object may be reused at once, but stays one of this cache until a grace period after
 * its free has ended: its slab is not given back before. So a reader (rcupdate.h) may look
 * at one that was freed, and has to find out whether it is still the one that it wanted.
 * Nothing but its user and the constructor writes to it: __GFP_ZERO has no effect.
 */
#define SLAB_TYPESAFE_BY_RCU (1u << 4)
/* Debugging of this cache, as slab_debug=FZPU asks of it: docs/design-slab-debug.md. */
#define SLAB_CONSISTENCY_CHECKS 0x100u /* F: each object is looked for before it is freed */
#define SLAB_RED_ZONE 0x400u           /* Z: who writes beside an object is told */
#define SLAB_POISON 0x800u             /* P: who writes to a free one is told */
#define SLAB_STORE_USER 0x10000u       /* U: who allocated and freed it, for reports */
#define SLAB_DEBUG_FLAGS (SLAB_CONSISTENCY_CHECKS | SLAB_RED_ZONE | SLAB_POISON | SLAB_STORE_USER)
#define SLAB_VALID_MASK (SLAB_HWCACHE_ALIGN | SLAB_PANIC | SLAB_ACCOUNT | SLAB_TYPESAFE_BY_RCU | \
			 SLAB_DEBUG_FLAGS)

/*
 * size 1 to KMALLOC_MAX_CACHE_SIZE; align 0 or a power of two up to PAGE_SIZE.
 * ctor is called once for each object when its slab is made; an object must be
 * freed in the constructed state, and keeps it while it is free. NULL: bad
 * argument, name taken, too many caches (all reported); or no memory (not reported).
 */
struct kmem_cache *kmem_cache_create(const char *name, size_t size,
				     size_t align, unsigned int flags,
				     void (*ctor)(void *));
/*
 * Free the cache and all its slabs. Waits for what was deferred, and for a grace period
 * (rcupdate.h): so not inside a reader. 0: it is gone, or s is NULL. If objects are
 * still allocated: a report, which lists some of them, -EBUSY, and the cache stays usable.
 * -EINVAL, a report: s is no cache, or one of kmalloc's own.
 */
int kmem_cache_destroy(struct kmem_cache *s);
/* __GFP_ACCOUNT is for caches with SLAB_ACCOUNT, which need it not; else it is reported. */
void *kmem_cache_alloc(struct kmem_cache *s, gfp_t gfp);
void kmem_cache_free(struct kmem_cache *s, void *obj);
void *kmem_cache_alloc_nolock(struct kmem_cache *s, gfp_t gfp, int node);
void kmem_cache_free_nolock(struct kmem_cache *s, void *obj);
/*
 * Many objects of a cache at once, cheaper by the object than single calls. Contexts as of
 * the single calls: the _nolock forms any, the others thread and hard interrupt.
 * Allocation: all n or none, returns n or 0; 0 (for n > 0) says that memory was at its
 * end for one of them, those before it have gone back then. A node as for one object.
 */
size_t kmem_cache_alloc_bulk(struct kmem_cache *s, gfp_t gfp, size_t n, void **objs);
size_t kmem_cache_alloc_bulk_nolock(struct kmem_cache *s, gfp_t gfp, int node, size_t n, void **objs);
/*
 * Free n pointers, objs stays as it is. With a cache all must be its objects; kfree_bulk
 * takes whatever kfree takes, also mixed, best objects of one cache in a row. NULL is
 * left out. Each bad one is reported as by a single call, and the others are freed.
 */
void kmem_cache_free_bulk(struct kmem_cache *s, size_t n, void **objs);
void kmem_cache_free_bulk_nolock(struct kmem_cache *s, size_t n, void **objs);
void kfree_bulk(size_t n, void **objs);
void kfree_bulk_nolock(size_t n, void **objs);
/* Give back every page that the cache can spare, whatever CPU keeps what is free. Returns how
 * many of them it gave back itself: others' trims, which it waits for, may have come first. */
u64 kmem_cache_shrink(struct kmem_cache *s);
unsigned int kmem_cache_size(const struct kmem_cache *s);

/*
 * Returns when every free that was deferred before the call, on any CPU, has been done,
 * however many come meanwhile: those are done at once, none is deferred until it returns.
 */
void defer_free_barrier(void);

#endif
