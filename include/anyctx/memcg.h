/*
 * memcg.h - memory control groups: who pays for memory, and how much may be had.
 *
 * A group counts the bytes that are allocated with __GFP_ACCOUNT, or from a cache with
 * SLAB_ACCOUNT, while it is the active one; a group above it counts them too. An
 * allocation that a limit anywhere on the way up does not allow is NULL, and nothing
 * else is: what CPUs hold charged in advance is taken back before. A free gives back to
 * the group that paid, whoever frees and whichever group is active then.
 *
 * What is counted: of an object its size, rounded up to a multiple of 8 (of kmalloc's, what
 * ksize tells), of whole pages the pages. Objects of kmalloc above 2 KiB that are
 * paid for are whole pages.
 *
 * Contexts: every call, any context. A group lives until its last reference has been
 * dropped, its children are gone and nothing is charged to it any more; that may
 * happen in any context, inside a free in an NMI too. There is no group at the start,
 * and nobody pays until set_active_memcg has been called.
 */
#ifndef ANYCTX_MEMCG_H
#define ANYCTX_MEMCG_H

#include <anyctx/types.h>

struct mem_cgroup;

#define MEMCG_MAX_DEPTH 8     /* levels, the topmost included */
#define MEMCG_MAX_GROUPS 255  /* at a time */
#define MEMCG_NO_LIMIT (~0UL)
#define MEMCG_LARGEST_OBJECT 2048UL /* above it what is paid for is whole pages */

/*
 * A group below parent (NULL: at the top), without a limit; the caller has a reference.
 * parent must be held meanwhile; it lives as long as the child. NULL: bad argument
 * (reported: name longer than 27 characters, too deep), or too many groups.
 */
struct mem_cgroup *mem_cgroup_create(struct mem_cgroup *parent, const char *name);
/* One more reference, for who has one; and one less. NULL is ignored. */
void mem_cgroup_get(struct mem_cgroup *g);
void mem_cgroup_put(struct mem_cgroup *g);

/*
 * At most so many bytes in the group and below it, rounded down to a multiple of 8. From
 * now on: what is in use stays, and allocations fail until less is.
 */
void mem_cgroup_set_limit(struct mem_cgroup *g, u64 bytes);
u64 mem_cgroup_limit(const struct mem_cgroup *g);
/* Bytes allocated in the group and below it; exact while nobody allocates there. */
u64 mem_cgroup_usage(struct mem_cgroup *g);
/* The most bytes that have been charged at once, with what CPUs held in advance (at most
 * MEMCG_STOCK_BYTES each). */
u64 mem_cgroup_watermark(const struct mem_cgroup *g);
#define MEMCG_STOCK_BYTES (128UL << 10)
/* Allocations that have failed since this group's limit did not allow them. */
u64 mem_cgroup_failcnt(const struct mem_cgroup *g);
const char *mem_cgroup_name(const struct mem_cgroup *g);

/*
 * The group that pays for this thread, wherever it runs, or on this CPU in this kind of
 * context (interrupt, NMI, debug), from now on; NULL: nobody. Returns the one before, which is to be set again by
 * who has interrupted others of its kind. So an interrupt is not paid for by whom it
 * interrupted. The caller holds a reference as long as the group is active.
 */
struct mem_cgroup *set_active_memcg(struct mem_cgroup *g);
struct mem_cgroup *active_memcg(void);

/* Who pays for this object or block; NULL: nobody, or it is none. */
struct mem_cgroup *mem_cgroup_from_obj(const void *p);

#endif
