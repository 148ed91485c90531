/*
 * init.c - the allocator's start, in order; and bringing it to rest.
 */
#include "kernel/context.h"
#include "kernel/rcu.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/typesafe.h"
#include <anyctx/cpu.h>
#include <anyctx/rcupdate.h>
#include <anyctx/smp.h>

void mm_init(void)
{
	memmap_init();
	page_alloc_init();
	reclaim_init();
	if (CONFIG_KASAN)
		kasan_quarantine_init();
	defer_init();
	kmalloc_init();
	rcu_init(); /* frees that wait for readers are what the end of memory asks for */
}

static void flush_here(void *unused)
{
	(void)unused;
	flush_cpu();
}

void mm_quiesce(void)
{
	check_in_thread("mm_quiesce");
	rcu_barrier();
	cpus_read_lock();
	on_each_cpu(flush_here, NULL, true); /* deferred frees too */
	cpus_read_unlock();
	typesafe_settle();
	defer_settle(); /* the flush may have asked for a trim, on any CPU */
	trim_all();
	tight_check();
}
