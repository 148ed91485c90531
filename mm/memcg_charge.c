/*
 * memcg_charge.c - a charge: one amount to a group and to all above it, or to none.
 *
 * The words of a charge (a CPU's stock, if it is about that, then the counts from the
 * group to the top) change together, as words.c does it with pages:
 *
 *	1. op of this CPU: 0 -> UNDECIDED, with all that anyone has to know of it
 *	2. each word {value} -> {value, held by this charge}, in that order
 *	3. op: UNDECIDED -> SUCCESS (the commit); or -> FAILED, if a limit does not allow it
 *	4. each word {value, held} -> {new value}, the stock, then from the top downwards
 *	5. op -> what it was before
 *
 * Whoever comes across a held word helps: it does what is left of steps 2 to 4 for the
 * charge that holds it, and goes on. So a charge that was interrupted anywhere is neither
 * waited for nor undone, and a failure is exact: at the moment a limit was found to be
 * too low, no charge that would fail later was in the count.
 *
 * Helping ends: a charge that holds a word only wants words above it. A group's own count
 * is let go last, so the group, and with it the way up, is there until all is done.
 * Who helps may be late. Before it holds a word it has read that word and then seen
 * the charge undecided, so the word is one of that charge; and if the charge has held
 * it since, the word has another number and the swap fails. What is held for a charge
 * that has failed or is over is simply let go.
 *
 * All functions: any context, any CPU.
 */
#include "mm/memcg.h"

/* An op: state 2 | kind 2 | units 20 | group 8 | CPU of the stock 6 | level 3 | sequence 23.
 * level: of a failed one, how far above the group the limit was. */
enum { IDLE, UNDECIDED, SUCCESS, FAILED };
enum { CHARGE, STOCK, DRAIN };
#define OP_STATE(op) ((op) & 3)
#define OP_KIND(op) ((op) >> 2 & 3)
#define OP_UNITS(op) ((op) >> 4 & UNIT_MOST)
#define OP_GROUP(op) (&groups[(op) >> 24 & 255])
#define OP_STOCK_CPU(op) ((unsigned int)((op) >> 32 & 63))
#define OP_LEVEL_SHIFT 38
#define OP_LEVEL(op) ((op) >> OP_LEVEL_SHIFT & 7)
#define OP_SEQ(op) ((op) >> WORD_SEQ_SHIFT)

_Static_assert(NR_CPUS <= 64 && MEMCG_MAX_DEPTH <= 8 && MEMCG_MAX_GROUPS <= 255, "an op has room for them");

DEFINE_PER_CPU(struct memcg_cpu, memcg_cpu);

static u64 *op_word(unsigned int cpu)
{
	return &per_cpu_ptr(memcg_cpu, cpu)->op;
}

static u64 *stock_word(u64 op)
{
	return &per_cpu_ptr(memcg_cpu, OP_STOCK_CPU(op))->stock;
}

/* What marks a word as held by the charge op of cpu. */
static u64 hold_tag(unsigned int cpu, u64 op)
{
	return WORD_HELD | (u64)cpu << WORD_CPU_SHIFT | OP_SEQ(op) << WORD_SEQ_SHIFT;
}

static bool held_by(u64 w, u64 tag)
{
	return (w & ~WORD_VALUE) == tag;
}

/* The way up as it is now; how many. Only while the group's charge is undecided, or has a
 * word to let go, is it sure to be the right one. */
static unsigned int way_up(struct mem_cgroup *g, struct mem_cgroup **way)
{
	unsigned int n = 0;

	for (; g && n < MEMCG_MAX_DEPTH; g = READ_ONCE(g->parent))
		way[n++] = g;
	return n;
}

/* ------------------------------------------------------ step 4: letting go */

static u64 new_stock(u64 v, u64 op)
{
	u64 group = (u64)(OP_GROUP(op) - groups);

	return OP_KIND(op) == DRAIN ? 0 : group << 20 | (STOCK_UNITS(v) + OP_UNITS(op));
}

static u64 new_count(u64 v, u64 op)
{
	return OP_KIND(op) == DRAIN ? v - OP_UNITS(op) : v + OP_UNITS(op);
}

static void watermark_raise(struct mem_cgroup *g, u64 was, u64 to)
{
	u64 of = was & ~WORD_VALUE;

	while ((was & ~WORD_VALUE) == of && (was & WORD_VALUE) < to && !cas(&g->watermark, was, of | to))
		was = load(&g->watermark);
}

/* The counts held by a decided charge. While it is held the value does not change, and the
 * group does not end: so the watermark that was read before is of the same group, and if we
 * are late and the group is over, its successor's is another word. */
static void let_counts_go(u64 op, u64 tag)
{
	struct mem_cgroup *way[MEMCG_MAX_DEPTH];
	unsigned int n = way_up(OP_GROUP(op), way);

	while (n--) {
		u64 mark = load(&way[n]->watermark), w = load(&way[n]->count), v = w & WORD_VALUE;

		if (!held_by(w, tag))
			continue;
		if (OP_STATE(op) == SUCCESS)
			v = new_count(v, op);
		watermark_raise(way[n], mark, v);
		cas(&way[n]->count, w, v | (tag & ~WORD_HELD));
	}
}

static void let_go(unsigned int cpu, u64 op)
{
	u64 tag = hold_tag(cpu, op);

	if (OP_KIND(op) != CHARGE) {
		u64 w = load(stock_word(op)), v = w & WORD_VALUE;

		if (held_by(w, tag))
			cas(stock_word(op), w, (OP_STATE(op) == SUCCESS ? new_stock(v, op) : v) | (tag & ~WORD_HELD));
	}
	let_counts_go(op, tag);
}

/* -------------------------------------------------- steps 2 and 3: deciding */

static void finish(unsigned int cpu, u64 op);

/* A word that was found held, as w: its charge is finished, or the word let go. */
static void help(u64 *word, u64 w)
{
	unsigned int cpu = (unsigned int)(w >> WORD_CPU_SHIFT & 63);
	u64 op = load(op_word(cpu));

	if (OP_SEQ(op) == w >> WORD_SEQ_SHIFT && (OP_STATE(op) == UNDECIDED || OP_STATE(op) == SUCCESS))
		finish(cpu, op);
	else
		cas(word, w, w & ~WORD_HELD);
}

static void fail(unsigned int cpu, u64 op, unsigned int level)
{
	cas(op_word(cpu), op, (op & ~3UL) | FAILED | (u64)level << OP_LEVEL_SHIFT);
}

/* Does the count's value, or the stock's, allow the charge? */
static bool count_allows(const struct mem_cgroup *g, u64 v, u64 op)
{
	if (OP_KIND(op) == DRAIN)
		return true;
	if (OP_KIND(op) == STOCK && load(&g->full) & 1)
		return false;
	return v + OP_UNITS(op) <= load(&g->limit);
}

static bool stock_allows(u64 v, u64 op)
{
	u64 group = (u64)(OP_GROUP(op) - groups);

	if (OP_KIND(op) == DRAIN)
		return v == (group << 20 | OP_UNITS(op));
	return !STOCK_UNITS(v) || (STOCK_GROUP(v) == group && STOCK_UNITS(v) + OP_UNITS(op) <= UNIT_MOST);
}

/* One word; g: whose count it is, NULL for a stock. false: the charge is decided. */
static bool hold(u64 *word, const struct mem_cgroup *g, unsigned int level, unsigned int cpu, u64 op)
{
	u64 tag = hold_tag(cpu, op);

	for (;;) {
		u64 w = load(word), v = w & WORD_VALUE;

		if (held_by(w, tag))
			return true;
		if (load(op_word(cpu)) != op) /* behind the look at the word */
			return false;
		if (w & WORD_HELD) {
			help(word, w);
		} else if (!(g ? count_allows(g, v, op) : stock_allows(v, op))) {
			fail(cpu, op, level);
			return false;
		} else if (cas(word, w, v | tag)) {
			return true;
		}
	}
}

static bool hold_all(unsigned int cpu, u64 op)
{
	unsigned int level = 0;

	if (OP_KIND(op) != CHARGE && !hold(stock_word(op), NULL, 0, cpu, op))
		return false;
	for (struct mem_cgroup *g = OP_GROUP(op); g && level < MEMCG_MAX_DEPTH; g = READ_ONCE(g->parent))
		if (!hold(&g->count, g, level++, cpu, op))
			return false;
	return true;
}

/* Whatever is left to do for the charge op of cpu, if it is still under way. */
static void finish(unsigned int cpu, u64 op)
{
	u64 now;

	if (OP_STATE(op) == UNDECIDED && hold_all(cpu, op))
		cas(op_word(cpu), op, (op & ~3UL) | SUCCESS);
	/* As it was decided. If it is over, what we held late for it goes without effect. */
	now = load(op_word(cpu));
	let_go(cpu, OP_SEQ(now) == OP_SEQ(op) ? now : (op & ~3UL) | FAILED);
}

/* --------------------------------------------------------- steps 1 and 5 */

/* Never 0: that is where there is no charge. */
static u64 next_seq(void)
{
	u64 seq;

	do {
		seq = this_cpu_read64(memcg_cpu.seq);
		while (!this_cpu_cmpxchg64(&memcg_cpu.seq, &seq, seq + 1))
			;
	} while (!OP_SEQ((seq + 1) << WORD_SEQ_SHIFT));
	return seq + 1;
}

/* All five steps; the op as it was decided. The word is this CPU's, and nested calls put
 * back what they found: so the thread stays. */
static u64 run_here(unsigned int kind, const struct mem_cgroup *g, u64 units, unsigned int stock_cpu)
{
	unsigned int cpu = smp_processor_id();
	u64 *mine = op_word(cpu), was = load(mine), op, done;

	if (was) { /* interrupted by us */
		finish(cpu, was);
		was = load(mine);
	}
	op = UNDECIDED | (u64)kind << 2 | units << 4 | group_id(g) << 24 | (u64)stock_cpu << 32 |
	     next_seq() << WORD_SEQ_SHIFT;
	__atomic_store_n(mine, op, __ATOMIC_RELEASE);
	finish(cpu, op);
	done = load(mine);
	__atomic_store_n(mine, was, __ATOMIC_RELEASE);
	return done;
}

static u64 run(unsigned int kind, const struct mem_cgroup *g, u64 units, unsigned int stock_cpu)
{
	u64 done;

	preempt_disable();
	done = run_here(kind, g, units, stock_cpu);
	preempt_enable();
	return done;
}

static struct mem_cgroup *refused_by(struct mem_cgroup *g, u64 done)
{
	if (OP_STATE(done) == SUCCESS)
		return NULL;
	for (u64 i = OP_LEVEL(done); i && g->parent; i--)
		g = g->parent;
	return g;
}

struct mem_cgroup *charge_all(struct mem_cgroup *g, u64 units)
{
	return refused_by(g, run(CHARGE, g, units, 0));
}

struct mem_cgroup *charge_stock(struct mem_cgroup *g, u64 units)
{
	return refused_by(g, run(STOCK, g, units, smp_processor_id()));
}

void charge_drain(unsigned int cpu, u64 v)
{
	run(DRAIN, &groups[STOCK_GROUP(v)], STOCK_UNITS(v), cpu);
}

/* ------------------------------------------------------- one word alone */

u64 charge_word(u64 *word)
{
	u64 w;

	while ((w = load(word)) & WORD_HELD)
		help(word, w);
	return w;
}

void charge_drop(struct mem_cgroup *g, u64 units)
{
	u64 w;

	do {
		w = charge_word(&g->count);
	} while (!cas(&g->count, w, w - units));
}
