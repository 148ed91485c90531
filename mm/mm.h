/*
 * mm.h - what kernel/ and the tests ask of the allocator besides allocating:
 * start-up, checking, and telling its state. mm/internal.h holds its inside.
 */
#ifndef MM_MM_H
#define MM_MM_H

#include <anyctx/types.h>

/* CPU 0 while booting: needs mem_ranges[], CPU and node numbers, per-CPU areas. */
void mm_init(void);

/* Give back all that CPUs cache and all that is deferred. Thread context,
 * interrupts on; the machine should be at rest for an exact result. */
void mm_quiesce(void);

/*
 * For kernel/cpu.c. What this CPU caches goes back, and does not come again if the CPU is
 * offline: any context. Does a CPU hold anything? Exact if it sleeps; any context. The
 * CPUs online share the memory of their nodes, each to search its part first: thread.
 */
void mm_cpu_flush(void);
bool mm_cpu_holds(unsigned int cpu);
void mm_share_arenas(void);

/*
 * Walk every structure and compare every counter with the walk. At rest, in
 * thread context. Returns the number of differences; each is printed.
 */
unsigned int mm_check(void);

/* In every NMI: another CPU may be at the end of memory, and ask for what this one caches. */
void reclaim_answer(void);

/* Bad frees and bad arguments reported since boot. */
u64 mm_reports(void);
/* While true, reports are counted but not printed (tests that provoke them). */
void mm_reports_quiet(bool quiet);
/* The text of the newest report. */
const char *mm_last_report(void);

struct mm_stats {
	u64 pages_managed, pages_free;
	u64 slab_pages, large_pages, block_pages; /* large: kmalloc; block: alloc_pages */
	u64 deferred, deferred_served;            /* frees, since boot */
	u64 spurious_failures; /* NULL returned although a free block was there */
	u64 failures;          /* NULL returned because there was none */
};
void mm_get_stats(struct mm_stats *st);
/* Those of spurious_failures that this CPU has counted. Any context. */
u64 mm_spurious_here(void);
/* Another thread will run on this CPU: its active group; returns that of the one before.
 * Interrupts off, in a thread. */
struct mem_cgroup;
struct mem_cgroup *memcg_switch(struct mem_cgroup *next);
/* Is this CPU's thread in no change that it must end on this CPU? Any context. */
bool mm_may_preempt(void);
/* Allocations that limits of groups have refused on this CPU, in this kind of context. */
u64 mm_refused_here(void);
/* Is it an instruction of mm/? */
bool mm_in_text(u64 pc);

/* How many free objects of kmalloc's class of that size (to 8 KiB) one CPU keeps at most;
 * 0: none, there are no magazines. */
u64 mm_kept_of(size_t size);
/* The same of a cache. */
struct kmem_cache;
u64 mm_kept_by(const struct kmem_cache *s);
/* Does a CPU keep free pages? */
bool mm_keeps_pages(void);

/*
 * Instructions that one call takes at most, zeroing and what interrupts it apart, be there
 * memory or not, while so many CPUs make calls: docs/design.md, "How long a call takes".
 */
u64 mm_call_bound(unsigned int cpus);

/* All that counters tell, in whatever state: the panic's view. Any context. */
void mm_print_state(void);
/* The same figures by a full walk, to compare with. At rest, thread. */
void mm_print_walk(void);

/* The shell's views. */
void mm_print_meminfo(void);
void mm_print_slabinfo(void);
void mm_print_buddyinfo(void);
void mm_print_memcg(void);

#endif
