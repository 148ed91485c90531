/*
 * kcsan.c - tests of the race detector: races are found, with both sides, from each
 * context; and what is marked, locked or nobody's but one CPU's is not one.
 *
 * A race is a matter of chance. So one CPU watches each 20th of its plain accesses, and
 * both go on until one has been found, or each has made LIMIT rounds; the first few do.
 */
#include <anyctx/spinlock.h>
#include "kernel/hooks.h"
#include "kernel/kcsan/internal.h"
#include "tests/finding/expect.h"

#define LIMIT 200000UL
#define QUIET_ROUNDS 2000
#define OFTEN 20

static struct {
	u64 value __aligned(64);
	u64 through __aligned(64); /* a bit for each side that has made its rounds */
} shared;
static spinlock_t lock = SPINLOCK_INIT;
static u64 findings_before;

/* Who has made its rounds goes on until the other has. */
static bool all_through(u64 round, u64 rounds)
{
	if (round == rounds)
		__atomic_fetch_or(&shared.through, smp_processor_id() ? 2 : 1, __ATOMIC_RELAXED);
	return __atomic_load_n(&shared.through, __ATOMIC_RELAXED) == 3;
}

static bool over(u64 round)
{
	return findings() != findings_before || all_through(round, LIMIT);
}

static void write_plain(void *unused)
{
	(void)unused;
	for (u64 i = 0; !over(i); i++) {
		shared.value++;
		barrier();
	}
}

static void read_plain(void *unused)
{
	(void)unused;
	for (u64 i = 0; !over(i); i++) {
		u64 v = shared.value;

		__asm__ volatile("" : : "r"(v) : "memory");
	}
}

static void read_marked(void *unused)
{
	(void)unused;
	for (u64 i = 0; !over(i); i++)
		(void)READ_ONCE(shared.value);
}

static void add_atomic(void *unused)
{
	(void)unused;
	for (u64 i = 0; !over(i); i++)
		__atomic_fetch_add(&shared.value, 1, __ATOMIC_RELAXED);
}

static void read_half(void *unused)
{
	(void)unused;
	for (u64 i = 0; !over(i); i++) {
		u32 v = ((const u32 *)&shared.value)[1];

		__asm__ volatile("" : : "r"(v) : "memory");
	}
}

static void add_unseen(void *unused)
{
	(void)unused;
	for (u64 i = 0; !over(i); i++)
		__asm__ volatile("lock incq %0" : "+m"(shared.value));
}

static bool possible(void)
{
	if (CONFIG_KCSAN && num_online_cpus() > 1)
		return true;
	test_skip(CONFIG_KCSAN ? "needs two CPUs" : "a process is not watched by this");
	return false;
}

/* a on the thread of CPU 1 and b in that context of CPU 0, until a race is found. */
static void together(void (*a)(void *), void (*b)(void *), enum context ctx)
{
	findings_before = findings();
	__atomic_store_n(&shared.through, 0, __ATOMIC_RELAXED);
	cpu_thread_run(1, a, NULL);
	run_in(ctx, 0, b, NULL);
	cpu_thread_wait(1);
}

static const struct {
	void (*a)(void *), (*b)(void *);
	const char *words[4];
} races[] = {
	{ write_plain, write_plain, { "write of 8 at", "write_plain+0x" } },
	{ read_plain, write_plain, { "write of 8 at", "read of 8 at", "read_plain+0x", "write_plain+0x" } },
	{ write_plain, read_marked, { "marked read of 8 at", "read_marked+0x", "write_plain+0x" } },
	{ add_atomic, read_plain, { "marked write of 8 at", "add_atomic+0x", "read_plain+0x" } },
	{ write_plain, read_half, { "read of 4 at", "read_half+0x", "write_plain+0x" } },
	{ read_plain, add_unseen, { "a write that is not seen", "read_plain+0x" } },
};

/* Both sides are told, where they are; or, of one that is not seen, what it did. */
static bool told(unsigned int i, enum context ctx)
{
	for (unsigned int w = 0; w < 4 && races[i].words[w]; w++)
		if (!finding_says(races[i].words[w]))
			return false;
	return finding_says("kcsan: race: CPU ") &&
	       (races[i].b == add_unseen || (finding_says("CPU 0 in ") && finding_says(context_name(context_of_place(ctx)))));
}

#define TRIES 20

/* A write that was looked at just before the watchpoint was set, and made just after, is one
 * that is not seen; then once more. */
static void find_race(unsigned int i, enum context ctx)
{
	unsigned int tries = 0;

	do {
		together(races[i].a, races[i].b, ctx);
		if (findings() == findings_before)
			test_fail(__FILE__, __LINE__, "race %u in %s: not found", i, context_name(ctx));
	} while (!told(i, ctx) && ++tries < TRIES);
	if (tries == TRIES)
		test_fail(__FILE__, __LINE__, "race %u in %s: %s", i, context_name(ctx), finding_text());
}

TEST(kcsan, races, "two plain accesses, or a plain and a marked one, at least one a write: found in each context, both told")
{
	s64 was = kcsan_set_skip(OFTEN);

	findings_begin();
	for (unsigned int i = 0; possible() && i < ARRAY_SIZE(races); i++)
		for (unsigned int ctx = 0; ctx < NR_PLACES; ctx++)
			find_race(i, (enum context)ctx);
	findings_seen();
	kcsan_set_skip(was);
}

/* ---- what is no race */

static bool both_through(u64 round)
{
	return all_through(round, QUIET_ROUNDS);
}

static void write_marked(void *unused)
{
	(void)unused;
	for (u64 i = 0; !both_through(i); i++)
		WRITE_ONCE(shared.value, READ_ONCE(shared.value) + 1);
}

static void write_locked(void *unused)
{
	(void)unused;
	for (u64 i = 0; !both_through(i); i++) {
		u64 flags = spin_lock_irqsave(&lock);

		shared.value++;
		spin_unlock_irqrestore(&lock, flags);
	}
}

static void read_only(void *unused)
{
	(void)unused;
	for (u64 i = 0; !both_through(i); i++) {
		u64 v = shared.value;

		__asm__ volatile("" : : "r"(v) : "memory");
	}
}

static u64 neighbours[2];

static void write_own(void *unused)
{
	u64 *mine = &neighbours[smp_processor_id() & 1];

	(void)unused;
	for (u64 i = 0; !both_through(i); i++) {
		(*mine)++;
		barrier();
	}
}

TEST(kcsan, no_races, "marked accesses, reads, what a lock excludes, and words side by side are none; and all that was watched")
{
	void (*const quiet[])(void *) = { write_marked, write_locked, read_only, write_own };
	s64 was = kcsan_set_skip(OFTEN);
	u64 watched = kcsan_watched(0) + kcsan_watched(1);

	findings_begin();
	for (unsigned int i = 0; possible() && i < ARRAY_SIZE(quiet); i++)
		together(quiet[i], quiet[i], CTX_THREAD);
	watched = kcsan_watched(0) + kcsan_watched(1) - watched;
	EXPECT(!possible() || watched > QUIET_ROUNDS / OFTEN);
	expect_findings(0, NULL);
	test_note("%lu accesses watched", watched);
	kcsan_set_skip(was);
}
