/*
 * class.c - the classes of locks: a fixed table, found by the address that a lock's
 * site names.
 *
 * Invariant: an entry's key goes from 0 to its class's by one compare-and-swap, and stays.
 * A usage bit is set once, by one locked or; who set it writes where that was, and then
 * `told`. A class of a cache belongs to the cache's slot, and outlives it.
 */
#include <arch/debug.h>
#include "internal.h"
#include "kernel/panic.h"
#include "kernel/printk.h"

struct lock_class lock_classes[MAX_CLASSES];

void trace_take(struct trace *t, u64 rbp)
{
	t->n = (u16)arch_backtrace(0, rbp, t->at, TRACE_FRAMES);
	t->cpu = (u16)smp_processor_id();
	t->ctx = current_context();
}

static u64 key_of(const void *lock, const struct lock_site *site)
{
	if (site->name)
		return (u64)site->name;
	return site->by ? (u64)site->by : (u64)lock;
}

/* The entry is of that class, or becomes it. */
static bool entry_is(struct lock_class *c, u64 key, const struct lock_site *site)
{
	u64 have = __atomic_load_n(&c->key, __ATOMIC_ACQUIRE);

	if (!have && __atomic_compare_exchange_n(&c->key, &have, key, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		WRITE_ONCE(c->name, site->name);
		return true;
	}
	return have == key;
}

struct lock_class *class_of(const void *lock, const struct lock_site *site)
{
	u64 key = key_of(lock, site);
	u64 i = (key * 0x9e3779b97f4a7c15UL) >> 55;

	for (unsigned int n = 0; n < MAX_CLASSES; n++, i++)
		if (entry_is(&lock_classes[i % MAX_CLASSES], key, site))
			return &lock_classes[i % MAX_CLASSES];
	report_full("classes");
	return NULL;
}

void class_name(char *buf, size_t size, const struct lock_class *c)
{
	if (READ_ONCE(c->name))
		snprintf(buf, size, "%s", c->name);
	else
		print_symbol(buf, size, c->key);
}

bool class_use(struct lock_class *c, enum usage u, const struct trace *t)
{
	u32 bit = 1u << u;

	if (READ_ONCE(c->usage) & bit || __atomic_fetch_or(&c->usage, bit, __ATOMIC_SEQ_CST) & bit)
		return false;
	c->how[u] = *t;
	__atomic_fetch_or(&c->told, bit, __ATOMIC_RELEASE);
	return true;
}
