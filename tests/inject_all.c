/*
 * inject_all.c - the figures of all sweeps of this boot, by operation; comes behind
 * them, as the cases of a suite run from the last file to the first.
 */
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "lib/string.h"
#include "tests/inject_sweep.h"
#include "tests/test.h"

#define MOST 64

static struct {
	void (*run)(void *);
	const char *label;
	u64 states;
	struct sweep_figures sum;
} operations[MOST];
static unsigned int nr_operations;

static void name_of(char *name, size_t size, unsigned int i)
{
	char symbol[64];

	print_symbol(symbol, sizeof(symbol), (u64)operations[i].run);
	if (strchr(symbol, '+'))
		*strchr(symbol, '+') = 0;
	snprintf(name, size, "%s%s%s", symbol, operations[i].label ? " " : "",
		 operations[i].label ? operations[i].label : "");
}

static unsigned int find(const struct interrupted *c)
{
	unsigned int i = 0;

	while (i < nr_operations && (operations[i].run != c->run || operations[i].label != c->label))
		i++;
	return i;
}

void figures_add(const struct interrupted *c, const struct sweep_figures *f)
{
	unsigned int i = find(c);

	if (i == MOST) {
		EXPECT(i < MOST);
		return;
	}
	operations[i].run = c->run;
	operations[i].label = c->label;
	nr_operations += i == nr_operations;
	operations[i].states += f->points > 0;
	operations[i].sum.instructions += f->instructions;
	operations[i].sum.points += f->points;
	operations[i].sum.failed += f->failed;
	operations[i].sum.deep += f->deep;
	operations[i].sum.deep_failed += f->deep_failed;
	operations[i].sum.ns += f->ns;
}

static void print_row(const char *name, u64 states, const struct sweep_figures *f)
{
	test_note("%-24s %6lu %12lu %8lu %6lu %8lu %6lu %7lu", name, states, f->instructions, f->points, f->failed,
		  f->deep, f->deep_failed, f->ns / 1000000);
}

TEST(inject, table, "the figures of the sweeps before, by operation")
{
	struct sweep_figures sum = { .points = 0 };
	u64 states = 0;

	if (!nr_operations) {
		test_skip("no sweep came before");
		return;
	}
	test_note("%-24s %6s %12s %8s %6s %8s %6s %7s", "operation", "states", "instructions", "points", "failed",
		  "two deep", "failed", "ms");
	for (unsigned int i = 0; i < nr_operations; i++) {
		const struct sweep_figures *f = &operations[i].sum;
		char name[96];

		name_of(name, sizeof(name), i);
		print_row(name, operations[i].states, f);
		states += operations[i].states;
		sum.instructions += f->instructions;
		sum.points += f->points;
		sum.failed += f->failed;
		sum.deep += f->deep;
		sum.deep_failed += f->deep_failed;
		sum.ns += f->ns;
	}
	print_row("all", states, &sum);
	EXPECT(sum.points > 0 && !sum.failed && !sum.deep_failed);
}
