/*
 * arena.c - which lines of memory a CPU searches first: its arena. The lines of a node are
 * shared out in equal runs among the CPUs that use it, in CPU order, at boot and
 * whenever a CPU goes or comes.
 *
 * Invariant: an arena is where to begin, and no more. Its bounds are two words, each
 * changed by one store while their CPU goes on, so that may read one old and one new: still
 * two lines within the map, and a run from the later to the earlier one is empty. All
 * memory is found from each CPU (search.c). Boot, and CPU 0's thread.
 */
#include "mm/internal.h"
#include "mm/mm.h"
#include "mm/search.h"
#include <anyctx/smp.h>

/* The node whose memory a CPU uses: its own, or the nearest that has any. */
static int memory_node(unsigned int cpu)
{
	for (unsigned int i = 0; i < arch_nr_nodes(); i++) {
		int nid = nearest_node(arch_cpu_node(cpu), i);

		for (u64 l = 0; l < nr_lines; l++)
			if (line_node[l] == nid)
				return nid;
	}
	return 0;
}

static u64 lines_of(int nid)
{
	u64 n = 0;

	for (u64 l = 0; l < nr_lines; l++)
		n += line_node[l] == nid;
	return n;
}

/* The line before which `count` lines of the node lie, even for order 10. */
static u64 nth_line(int nid, u64 count)
{
	u64 l = 0;

	for (; l < nr_lines && count; l++)
		count -= line_node[l] == nid;
	return l & ~1UL;
}

/* The first word with free pages of the node's lines that are split: a call that looks for
 * private ones finds it at hand, and takes it unseen. An arena may have lines of others. */
static u64 first_free_word(int nid, u64 first, u64 end)
{
	for (u64 line = hint_next(HINT_ANY, first, end); line < end; line = hint_next(HINT_ANY, line + 1, end))
		for (u64 w = line * LINE_WORDS; line_node[line] == nid && w < (line + 1) * LINE_WORDS; w++)
			if (word_peek(w))
				return w;
	return first * LINE_WORDS;
}

/* The i-th of n shares of the node. */
static void set_arena(unsigned int cpu, int nid, u64 i, u64 n)
{
	struct page_cpu *pc = per_cpu_ptr(page_cpu, cpu);
	u64 lines = lines_of(nid), first = nth_line(nid, lines * i / n), end;

	while (first < nr_lines && line_node[first] != nid)
		first++;
	end = i + 1 == n ? nr_lines : nth_line(nid, lines * (i + 1) / n);
	if (end <= first)
		end = first + 1; /* more CPUs than lines: they share */
	if (first == pc->arena_first && end == pc->arena_end)
		return;
	WRITE_ONCE(pc->arena_first, first);
	WRITE_ONCE(pc->arena_end, end);
	WRITE_ONCE(pc->cursor, first);
	for (unsigned int k = 0; k < NR_PRIVATE; k++)
		WRITE_ONCE(pc->near[k].word, first_free_word(nid, first, end));
}

/* Those of the first n CPUs whose bit is in mask. */
static void share(unsigned int n, u64 mask)
{
	u64 sharing[MAX_NUMNODES] = { 0 }, nth[MAX_NUMNODES] = { 0 };

	for (unsigned int c = 0; c < n; c++)
		sharing[memory_node(c)] += mask >> c & 1;
	for (unsigned int c = 0; c < n; c++) {
		int nid = memory_node(c);

		if (mask >> c & 1)
			set_arena(c, nid, nth[nid]++, sharing[nid]);
	}
}

void page_alloc_init(void)
{
	unsigned int n = arch_nr_cpus_found();

	share(n, ~0UL);
	for (unsigned int c = 0; c < n; c++) {
		struct page_cpu *pc = per_cpu_ptr(page_cpu, c);

		for (unsigned int k = 0; k < NR_PRIVATE; k++)
			pc->far[k].word = pc->arena_first * LINE_WORDS;
		pc->home_node = (u64)memory_node(c);
	}
}

/* A node whose CPUs have all gone is searched by the others when theirs are used up. */
void mm_share_arenas(void)
{
	share(num_possible_cpus(), __atomic_load_n(&cpu_online_mask, __ATOMIC_SEQ_CST));
}
