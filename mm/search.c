/*
 * search.c - which pages to take: the way through the free map.
 *
 * The CPU's arena first, then the rest of its node, then the other nodes by
 * distance, guided by hints; at last once more over all there is, undoing
 * others' undecided holds, and without the hints if one of them may be missing.
 * So NO_PFN from take_last_look means that no such block was free during the
 * whole look. All functions: any context.
 */
#include "mm/internal.h"
#include "mm/search.h"
#include <anyctx/smp.h>

/* ------------------------------------------------------------ in one line */

/* A block of up to a word, from the words of a split line. */
static u64 line_take_small(u64 line, unsigned int order, bool force)
{
	for (u64 w = line * LINE_WORDS; w < (line + 1) * LINE_WORDS; w++) {
		int bit = word_take(w, order, force);

		if (bit >= 0)
			return (w << WORD_SHIFT) + (u64)bit;
	}
	return NO_PFN;
}

/* A block of whole words that lies in this line (orders 6 to 8). */
static u64 line_take_words(u64 line, unsigned int order, bool force)
{
	u64 n = 1UL << (order - WORD_SHIFT);

	for (u64 w = line * LINE_WORDS; w < (line + 1) * LINE_WORDS; w += n)
		if (words_look_full(w, n) && words_take(w, n, force))
			return w << WORD_SHIFT;
	return NO_PFN;
}

/* Two lines at once (order 10). They stay split, so that their words count. */
static u64 line_take_pair(u64 line, bool force)
{
	u64 first = line * LINE_WORDS, n = 2 * LINE_WORDS;

	if (line & 1 || !pair_looks_free(line))
		return NO_PFN;
	line_split(line);
	line_split(line + 1);
	if (!words_look_full(first, n) || !words_take(first, n, force))
		return NO_PFN;
	hints_clear(line);
	hints_clear(line + 1);
	return line << LINE_SHIFT;
}

static u64 take_in_line(u64 line, unsigned int order, bool force)
{
	if (order > LINE_SHIFT)
		return line_take_pair(line, force);
	if (order == LINE_SHIFT)
		return line_take(line, force) ? line << LINE_SHIFT : NO_PFN;
	return order <= WORD_SHIFT ? line_take_small(line, order, force) :
				     line_take_words(line, order, force);
}

static bool line_looks_free(u64 line)
{
	return line_peek(line) == LINE_FREE || words_look_full(line * LINE_WORDS, LINE_WORDS);
}

bool pair_looks_free(u64 line)
{
	return line + 1 < nr_lines && line_node[line] == line_node[line + 1] && line_looks_free(line) &&
	       line_looks_free(line + 1);
}

/* ------------------------------------------------------------ many lines */

enum hint hint_for(unsigned int order)
{
	if (order >= LINE_SHIFT)
		return HINT_LINE;
	return order >= WORD_SHIFT ? HINT_WORD : HINT_ANY;
}

/* Lines [first, end) of node nid (any node if negative) that the hint names. */
static u64 search_hinted(u64 first, u64 end, int nid, unsigned int order, bool force)
{
	enum hint h = hint_for(order);

	for (u64 line = hint_next(h, first, end); line < end; line = hint_next(h, line + 1, end)) {
		u64 pfn;

		if (nid >= 0 && line_node[line] != nid)
			continue;
		pfn = take_in_line(line, order, force);
		if (pfn != NO_PFN)
			return pfn;
		hint_recheck(h, line);
		mm_point();
	}
	return NO_PFN;
}

/* The same among lines that are still whole: one is split. */
static u64 search_whole(u64 first, u64 end, int nid, unsigned int order, bool force)
{
	u64 line = hint_next(HINT_LINE, first, end);

	if (order >= LINE_SHIFT)
		return NO_PFN;
	for (; line < end; line = hint_next(HINT_LINE, line + 1, end)) {
		u64 pfn;

		if ((nid >= 0 && line_node[line] != nid) || line_peek(line) == LINE_TAKEN)
			continue;
		line_split(line);
		pfn = take_in_line(line, order, force);
		if (pfn != NO_PFN)
			return pfn;
		hint_recheck(HINT_LINE, line);
		mm_point();
	}
	return NO_PFN;
}

u64 search_range(u64 first, u64 end, int nid, unsigned int order, bool force)
{
	u64 pfn = search_hinted(first, end, nid, order, force);

	return pfn != NO_PFN ? pfn : search_whole(first, end, nid, order, force);
}

/* Every line, whatever the hints say. */
static u64 search_unhinted(int nid, unsigned int order)
{
	for (u64 line = 0; line < nr_lines; line++) {
		u64 pfn;

		if (line_node[line] < 0 || (nid >= 0 && line_node[line] != nid))
			continue;
		if (order < LINE_SHIFT)
			line_split(line);
		pfn = take_in_line(line, order, true);
		if (pfn != NO_PFN)
			return pfn;
		mm_point();
	}
	return NO_PFN;
}

u64 take_last_look(int nid, unsigned int order)
{
	return hint_busy() ? search_unhinted(nid, order) : search_range(0, nr_lines, nid, order, true);
}

/* ------------------------------------------------------------------ nodes */

/* Is node a nearer to nid than node b? Itself first; equals by number. */
static bool nearer(int nid, int a, int b)
{
	if (a == nid || b == nid)
		return a == nid && b != nid;
	return arch_node_distance(nid, a) < arch_node_distance(nid, b) ||
	       (arch_node_distance(nid, a) == arch_node_distance(nid, b) && a < b);
}

int nearest_node(int nid, unsigned int i)
{
	for (int n = 0; n < (int)num_nodes(); n++) {
		unsigned int rank = 0;

		for (int other = 0; other < (int)num_nodes(); other++)
			rank += nearer(nid, other, n);
		if (rank == i)
			return n;
	}
	return nid;
}

/* The arena first, from where the last search ended; then round its node. */
static u64 search_node(int nid, unsigned int order)
{
	struct page_cpu *pc = this_cpu_ptr(page_cpu);
	u64 first = READ_ONCE(pc->arena_first), end = READ_ONCE(pc->arena_end), at = READ_ONCE(pc->cursor), pfn;

	if (first >= end || line_node[first] != nid)
		return search_range(0, nr_lines, nid, order, false);
	pfn = search_hinted(at, end, nid, order, false);
	if (pfn == NO_PFN)
		pfn = search_range(first, end, nid, order, false);
	if (pfn != NO_PFN) {
		WRITE_ONCE(pc->cursor, pfn >> LINE_SHIFT);
		return pfn;
	}
	WRITE_ONCE(pc->cursor, first);
	tight_check();
	pfn = search_range(end, nr_lines, nid, order, false);
	return pfn != NO_PFN ? pfn : search_range(0, first, nid, order, false);
}

u64 take_nearest(int nid, unsigned int order, bool this_node)
{
	for (unsigned int i = 0; i < num_nodes(); i++) {
		u64 pfn = search_node(nearest_node(nid, i), order);

		if (pfn != NO_PFN || this_node)
			return pfn;
	}
	return NO_PFN;
}

/* ------------------------------------------------------ looking, not taking */

static bool line_has_block(u64 line, unsigned int order)
{
	u64 first = line * LINE_WORDS, n;

	if (order > LINE_SHIFT)
		return !(line & 1) && pair_looks_free(line);
	if (line_looks_free(line))
		return true;
	if (order == LINE_SHIFT)
		return false;
	n = order > WORD_SHIFT ? 1UL << (order - WORD_SHIFT) : 1;
	for (u64 w = first; w < first + LINE_WORDS; w += n)
		if (n > 1 ? words_look_full(w, n) : find_run(word_peek(w), order) >= 0)
			return true;
	return false;
}

static bool find_by_hint(enum hint h, unsigned int order, int nid)
{
	for (u64 line = hint_next(h, 0, nr_lines); line < nr_lines; line = hint_next(h, line + 1, nr_lines))
		if ((nid < 0 || line_node[line] == nid) && line_has_block(line, order))
			return true;
		else
			mm_point();
	return false;
}

/* A block that is free all the time may go from hint to hint meanwhile, or be without
 * one for a moment: then all lines are read. */
bool page_find_free(unsigned int order, int nid)
{
	u64 before = hint_version();

	if (before != HINT_BUSY) {
		if (find_by_hint(HINT_LINE, order, nid) || find_by_hint(hint_for(order), order, nid))
			return true;
		if (hint_version() == before)
			return false;
	}
	for (u64 line = 0; line < nr_lines; line++)
		if (line_node[line] >= 0 && (nid < 0 || line_node[line] == nid) && line_has_block(line, order))
			return true;
		else
			mm_point();
	return false;
}
