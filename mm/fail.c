/*
 * fail.c - which allocations fail although they need not (fail.h), and their counts.
 *
 * Invariant: `armed` is written by a thread while fail_on is false only, so whoever
 * finds fail_on true may read it; a call that found it true just before it was cleared
 * may still fail after that. Whether a call fails depends on its number among those
 * looked at, and on nothing else: no state of a generator is shared, so any context
 * of any CPU may come in between, and equal numbers give equal failures.
 *
 * Arming and disarming: thread. All else: any context.
 */
#include "mm/fail.h"
#include "kernel/cmdline.h"
#include "kernel/context.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/random.h"
#include "lib/string.h"
#include "mm/internal.h"
#include "mm/mm.h"
#include <anyctx/smp.h>

#define MOST 0x7fffffffffffffffL
#define WORD 16

bool fail_on, fail_keep_none;

static struct fail_setup armed, from_arguments;

struct layer_counts {
	u64 calls, injected[NR_CONTEXT];
};
static struct layer_counts counts[NR_FAIL_LAYER];
static DEFINE_PER_CPU(u64, injected_here);

static s64 slab_nth, slab_interval, slab_ppm, page_nth, page_interval, page_ppm, seed = 1, at_hand = 1;
static const char *slab_in, *slab_cache, *page_in, *page_orders;
KPARAM_INT(slab_nth, "failslab_nth", 0, MOST, "main job: this call for an object fails; 0: none");
KPARAM_INT(slab_interval, "failslab_interval", 0, MOST, "main job: so does one of each so many; 0: none");
KPARAM_INT(slab_ppm, "failslab_ppm", 0, FAIL_ALWAYS, "main job: and so many of a million, by fail_seed");
KPARAM_STR(slab_in, "failslab_in", "only in these contexts: thread,irq,nmi,debug");
KPARAM_STR(slab_cache, "failslab_cache", "only of the cache of this name");
KPARAM_INT(page_nth, "fail_page_nth", 0, MOST, "main job: this call for pages fails; 0: none");
KPARAM_INT(page_interval, "fail_page_interval", 0, MOST, "main job: so does one of each so many; 0: none");
KPARAM_INT(page_ppm, "fail_page_ppm", 0, FAIL_ALWAYS, "main job: and so many of a million, by fail_seed");
KPARAM_STR(page_in, "fail_page_in", "only in these contexts: thread,irq,nmi,debug");
KPARAM_STR(page_orders, "fail_page_orders", "only of these orders: 0,3,9");
KPARAM_INT(seed, "fail_seed", 0, MOST, "what the failures by chance depend on");
KPARAM_INT(at_hand, "fail_at_hand", 0, 1, "0: only calls that find nothing in a CPU's own caches");

/* ---- the kernel arguments ---- */

static int context_by_name(const char *word)
{
	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		if (!strcmp(context_name((enum context)c), word))
			return (int)c;
	return -1;
}

static int order_by_name(const char *word)
{
	unsigned int order = 0;

	for (; *word >= '0' && *word <= '9' && order < NR_ORDERS; word++)
		order = order * 10 + (unsigned int)(*word - '0');
	return *word || order >= NR_ORDERS ? -1 : (int)order;
}

/* The next of the words between commas, cut at what fits; moves *list behind it. */
static void next_word(const char **list, char *word)
{
	unsigned int n = 0;

	for (; **list && **list != ','; (*list)++)
		if (n < WORD - 1)
			word[n++] = **list;
	word[n] = 0;
	*list += **list == ',';
}

/* Bits by what number() makes of each word; NULL is all of them. */
static bool parse_bits(const char *name, const char *list, int (*number)(const char *), u32 *bits)
{
	char word[WORD];

	while (list && *list) {
		int n;

		next_word(&list, word);
		n = *word ? number(word) : -1;
		if (n < 0) {
			printk("error: kernel argument '%s': there is no '%s'\n", name, word);
			return false;
		}
		*bits |= 1u << n;
	}
	return true;
}

bool fail_init(void)
{
	struct fail_knobs *slab = &from_arguments.layer[FAIL_SLAB], *page = &from_arguments.layer[FAIL_PAGE];

	*slab = (struct fail_knobs){ .nth = (u64)slab_nth, .interval = (u64)slab_interval,
				     .per_million = (u64)slab_ppm, .cache = slab_cache };
	*page = (struct fail_knobs){ .nth = (u64)page_nth, .interval = (u64)page_interval,
				     .per_million = (u64)page_ppm };
	from_arguments.seed = (u64)seed;
	from_arguments.at_hand = at_hand;
	return parse_bits("failslab_in", slab_in, context_by_name, &slab->contexts) &&
	       parse_bits("fail_page_in", page_in, context_by_name, &page->contexts) &&
	       parse_bits("fail_page_orders", page_orders, order_by_name, &page->orders);
}

const struct fail_setup *fail_arguments(void)
{
	return &from_arguments;
}

/* ---- arming ---- */

static bool is_set(const struct fail_knobs *k)
{
	return k->nth || k->interval || k->per_million;
}

void fail_arm(const struct fail_setup *setup)
{
	BUG_ON(!in_thread() || fail_on);
	armed = *setup;
	memset(counts, 0, sizeof(counts));
	if (!is_set(&armed.layer[FAIL_SLAB]) && !is_set(&armed.layer[FAIL_PAGE]))
		return;
	__atomic_store_n(&fail_keep_none, armed.at_hand, __ATOMIC_SEQ_CST);
	tight_check();
	mm_quiesce();
	__atomic_store_n(&fail_on, true, __ATOMIC_SEQ_CST);
}

void fail_disarm(void)
{
	__atomic_store_n(&fail_on, false, __ATOMIC_SEQ_CST);
	__atomic_store_n(&fail_keep_none, false, __ATOMIC_SEQ_CST);
	tight_check();
}

/* ---- the question ---- */

static bool by_chance(u64 call, u64 per_million)
{
	struct rng r;

	rng_init(&r, armed.seed + call * NR_FAIL_LAYER);
	return rng_below(&r, FAIL_ALWAYS) < per_million;
}

static bool fails(const struct fail_knobs *k, u64 call)
{
	return call == k->nth || (k->interval && call % k->interval == 0) || by_chance(call, k->per_million);
}

/* A call that the layer's knobs look at: count it, and decide. */
static bool decide(enum fail_layer layer)
{
	const struct fail_knobs *k = &armed.layer[layer];
	enum context ctx = current_context();

	if (!is_set(k) || (k->contexts && !(k->contexts >> ctx & 1)))
		return false;
	if (!fails(k, __atomic_add_fetch(&counts[layer].calls, 1, __ATOMIC_RELAXED)))
		return false;
	__atomic_fetch_add(&counts[layer].injected[ctx], 1, __ATOMIC_RELAXED);
	this_cpu_add64(injected_here, 1);
	return true;
}

bool fail_slab_now(const struct kmem_cache *s)
{
	const char *only = armed.layer[FAIL_SLAB].cache;

	return (!only || !strcmp(only, s->name)) && decide(FAIL_SLAB);
}

bool fail_page_now(unsigned int order)
{
	u32 orders = armed.layer[FAIL_PAGE].orders;

	return (!orders || orders >> order & 1) && decide(FAIL_PAGE);
}

/* ---- counts ---- */

u64 fail_calls(enum fail_layer layer)
{
	return READ_ONCE(counts[layer].calls);
}

u64 fail_injected(enum fail_layer layer)
{
	u64 n = 0;

	for (unsigned int c = 0; c < NR_CONTEXT; c++)
		n += READ_ONCE(counts[layer].injected[c]);
	return n;
}

u64 fail_injected_here(void)
{
	return this_cpu_read64(injected_here);
}

void fail_print(void)
{
	static const char *const names[NR_FAIL_LAYER] = { "objects", "pages" };

	for (unsigned int i = 0; i < NR_FAIL_LAYER; i++) {
		const u64 *n = counts[i].injected;

		if (is_set(&armed.layer[i]))
			printk("failures injected, %s: %lu of %lu calls looked at: "
			       "thread %lu irq %lu nmi %lu debug %lu\n", names[i], fail_injected((enum fail_layer)i),
			       fail_calls((enum fail_layer)i), n[CTX_THREAD], n[CTX_IRQ], n[CTX_NMI], n[CTX_DEBUG]);
	}
}
