/*
 * inject_thread.c - what a thread alone may call (caches made and destroyed, shrunk, the
 * barrier), interrupted at every instruction.
 *
 * They wait for other CPUs, so interrupts are on in them; what an interrupt does there is
 * no part of the call, and may make it miss a place.
 */
#include <arch/irq.h>
#include "mm/internal.h"
#include "tests/inject_state.h"
#include "tests/inject_sweep.h"
#include "tests/test.h"

static struct kmem_cache *made;

static void some(void)
{
	state_chain(2);
	state_magazine(2);
}

static void cache_create(void *unused)
{
	(void)unused;
	arch_irq_enable();
	made = kmem_cache_create("inject-made", 72, 0, 0, NULL);
	arch_irq_disable();
}

/* And it is one: it gives an object. */
static bool settle_create(void)
{
	void *p = made ? kmem_cache_alloc(made, GFP_NOWAIT) : NULL;

	if (made)
		kmem_cache_free(made, p);
	arch_irq_enable();
	if (kmem_cache_destroy(made))
		p = NULL;
	arch_irq_disable();
	return p;
}

/* With an object in the magazine, and so a slab. */
static void with_cache(void)
{
	arch_irq_enable();
	made = kmem_cache_create("inject-made", 72, 0, 0, NULL);
	arch_irq_disable();
	if (made)
		kmem_cache_free(made, kmem_cache_alloc(made, GFP_NOWAIT));
	some();
}

static int destroyed;

static void cache_destroy(void *unused)
{
	(void)unused;
	arch_irq_enable();
	destroyed = kmem_cache_destroy(made);
	arch_irq_disable();
}

static bool settle_destroy(void)
{
	return made && !destroyed;
}

static void cache_shrink(void *unused)
{
	(void)unused;
	arch_irq_enable();
	kmem_cache_shrink(same);
	arch_irq_disable();
}

static void chains(void)
{
	state_chain(3);
	state_empty_slab();
}

static void deferred(void)
{
	state_chain(0);
	state_deferred(3);
}

static void barrier_call(void *unused)
{
	(void)unused;
	arch_irq_enable();
	defer_free_barrier();
	arch_irq_disable();
}

/* They look at every CPU, and take thousands of instructions. */
static void sweep_thread(void (*state)(void), void (*run)(void *), bool (*settle)(void))
{
	sweep(&(struct interrupted){ .state = state, .run = run, .settle = settle, .stride = 37,
				     .waits = true });
}

TEST(inject, cache_create, "a cache made, interrupted")
{
	sweep_thread(some, cache_create, settle_create);
}

TEST(inject, cache_destroy, "a cache destroyed that has a slab, interrupted")
{
	sweep_thread(with_cache, cache_destroy, settle_destroy);
}

TEST(inject, cache_shrink, "a cache shrunk that has an empty slab, interrupted")
{
	sweep_thread(chains, cache_shrink, NULL);
}

TEST(inject, barrier, "the barrier with deferred frees, interrupted")
{
	sweep_thread(deferred, barrier_call, NULL);
}
