/*
 * tables.c - tests of the lock checker: each of its tables is full (tables.h). That is
 * reported from each context where it can be.
 */
#include "kernel/tick.h"
#include "lib/string.h"
#include "tests/finding/expect.h"
#include "tests/lockdep/misuse.h"
#include "tests/lockdep/tables.h"

char fillers[MAX_CLASSES + 1];
const struct lock_site one_class = { .name = "tests: many" };
static const struct lock_site own_class; /* each address is a class of its own */

static void nothing(void *unused)
{
	(void)unused;
}

static void nothing_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	run_in(ctx, cpu, nothing, NULL);
}

void tables_begin(void)
{
	findings_begin();
	each_place(ALL_PLACES, nothing_in, NULL);
	tick_set_hz(0);
}

void tables_end(void)
{
	tick_set_hz(tick_default_hz());
}

void off_then_on(void)
{
	static spinlock_t not_held;

	EXPECT(!report_possible());
	EXPECT(lock_release(&not_held));
	report_on_again();
}

/* ---- classes */

static bool is_filler(const struct lock_class *c)
{
	return c->key >= (u64)fillers && c->key < (u64)(fillers + sizeof(fillers));
}

static void fill_classes(void)
{
	unsigned int room = 0;

	for (unsigned int i = 0; i < MAX_CLASSES; i++)
		room += !lock_classes[i].key;
	for (unsigned int i = 0; i < room; i++)
		EXPECT(class_of(&fillers[i], &own_class) != NULL);
}

static void empty_classes(void)
{
	for (unsigned int i = 0; i < MAX_CLASSES; i++)
		if (is_filler(&lock_classes[i]))
			memset(&lock_classes[i], 0, sizeof(lock_classes[i]));
}

static void one_class_more(void *unused)
{
	(void)unused;
	lock_wait(&fillers[MAX_CLASSES], &own_class);
	lock_wait(&fillers[MAX_CLASSES], &own_class); /* off: nothing is said */
	off_then_on();
}

static void class_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	expect_findings_in(ctx, cpu, one_class_more, NULL, 1,
			   (const char *const[]){ "lockdep: off", "has no more room for", "  classes", NULL });
}

TEST(lockdep, full_classes, "a lock of one class more than there is room for is reported from each context, once; then the checker is off")
{
	tables_begin();
	fill_classes();
	each_place(ALL_PLACES, class_in, NULL);
	empty_classes();
	EXPECT(class_of(&fillers[0], &own_class) != NULL);
	empty_classes();
	tables_end();
}

/* ---- what a CPU holds */

static void hold_too_many(void *unused)
{
	u64 before = held_count(), n = 0;

	(void)unused;
	while (held_count() < MAX_HELD)
		lock_taken(&fillers[n++], &one_class, LOCK_SECTION);
	lock_taken(&fillers[n], &one_class, LOCK_SECTION);
	off_then_on();
	while (n--)
		EXPECT(lock_release(&fillers[n]));
	EXPECT_EQ(held_count(), before);
}

static void held_in(enum context ctx, unsigned int cpu, void *unused)
{
	(void)unused;
	expect_findings_in(ctx, cpu, hold_too_many, NULL, 1,
			   (const char *const[]){ "lockdep: off", "has no more room for", "  what a CPU holds", NULL });
}

TEST(lockdep, full_held, "one lock more than a CPU can hold is reported from each context; then the checker is off")
{
	tables_begin();
	each_place(ALL_PLACES, held_in, NULL);
	tables_end();
}

/* ---- places of edges */

#define EDGE_CLASSES 33 /* 33 * 32 pairs are more than there is room for */

static void fill_edges(void)
{
	static struct lock_class *c[EDGE_CLASSES];
	static struct trace none;

	for (unsigned int i = 0; i < EDGE_CLASSES; i++)
		REQUIRE(c[i] = class_of(&fillers[i], &own_class));
	for (unsigned int i = 0; i < EDGE_CLASSES * EDGE_CLASSES; i++)
		if (c[i / EDGE_CLASSES] != c[i % EDGE_CLASSES])
			graph_add(c[i / EDGE_CLASSES], c[i % EDGE_CLASSES], &none, &none);
	for (unsigned int i = 0; i < MAX_EDGES; i++)
		EXPECT(lock_edges[i].ready);
}

static void empty_edges(void)
{
	for (unsigned int i = 0; i < MAX_EDGES; i++)
		if (lock_edges[i].pair && is_filler(&lock_classes[(lock_edges[i].pair - 1) / MAX_CLASSES]))
			memset(&lock_edges[i], 0, sizeof(lock_edges[i]));
	empty_classes();
}

static void both_ways(void *arg)
{
	spinlock_t **pair = arg;

	for (unsigned int i = 0; i < 2; i++) {
		u64 flags = spin_lock_irqsave(pair[i]);

		spin_lock(pair[!i]);
		spin_unlock(pair[!i]);
		spin_unlock_irqrestore(pair[i], flags);
	}
}

static void edge_in(enum context ctx, unsigned int cpu, void *unused)
{
	spinlock_t *pair[2] = { fresh_lock(), fresh_lock() };

	(void)unused;
	expect_findings_in(ctx, cpu, both_ways, pair, 1,
			   (const char *const[]){ "lockdep: order", lock_words(pair[0]), lock_words(pair[1]),
						  "was waited for while", NULL });
	EXPECT(!finding_says("had been taken"));
}

TEST(lockdep, full_edges, "with no more room for the places of an order it is watched as before, and reported without them")
{
	tables_begin();
	fill_edges();
	each_place(1u << CTX_THREAD | 1u << CTX_IRQS_OFF | 1u << CTX_IRQ, edge_in, NULL);
	empty_edges();
	tables_end();
}
