/*
 * page.c - blocks of pages: from the CPU's private pages or the free map, and back.
 *
 * Private pages are pages of one word that were taken out of the free map
 * together; there is one such word for single pages and one for blocks of orders
 * 1 to 5, so that single pages do not break up the others' runs. {word number,
 * map} is written by its CPU only, by one unlocked cmpxchg, and says all there is
 * to say: the same value always means the same free pages, so it needs no
 * sequence number.
 *
 * While memory is tight nobody has private pages. The short ways are in
 * page_fast.h. All functions: any context.
 */
#include "kernel/panic.h"
#include "lib/bits.h"
#include "mm/fail.h"
#include "mm/mm.h"
#include "mm/page_fast.h"
#include "mm/search.h"
#include <anyctx/smp.h>

DEFINE_PER_CPU(struct page_cpu, page_cpu);
DEFINE_PER_CPU(struct mm_fail_counts, mm_fail_counts);

#define BELOW_LINES 4

/* ------------------------------------------------------- the private pages */

/* Pages back into the map; who looks for private ones next begins there, if it is
 * before where he would. So low memory is used again before high is broken up. */
static bool word_back(u64 w, u32 map)
{
	struct page_cpu *pc = this_cpu_ptr(page_cpu);

	for (unsigned int i = 0; i < NR_PRIVATE; i++)
		if (w < READ_ONCE(pc->near[i].word) && w >= READ_ONCE(pc->arena_first) * LINE_WORDS)
			WRITE_ONCE(pc->near[i].word, w);
	return word_give(w, map);
}

/* This word's pages become the private ones; those there were go back. */
static void private_set(unsigned int order, u64 w, u32 map)
{
	u64 *private = private_word(order), old = this_cpu_read64(*private);

	while (!this_cpu_cmpxchg64(private, &old, w << 32 | map))
		;
	if ((u32)old)
		word_back(old >> 32, (u32)old);
	if (unlikely(mm_tight)) /* set meanwhile: nobody keeps pages now */
		page_flush_cpu();
}

/* Now and then is often enough to see the end of memory come. */
static void next_word_set(u64 *next, u64 w)
{
	bool new_line = READ_ONCE(*next) / LINE_WORDS != w / LINE_WORDS;

	WRITE_ONCE(*next, w);
	if (new_line)
		tight_check();
}

/* The first of the words [w, end) that has what we want: taken whole, one block of
 * it given out. */
static u64 refill_from_words(u64 w, u64 end, unsigned int order, u64 *next)
{
	for (; w < end; w++) {
		u32 map = load(&free_words[w]) ? word_take_all(w, order) : 0;
		int bit;

		if (!map)
			continue;
		bit = find_run(map, order);
		map &= ~(run_mask(order) << bit);
		if (map)
			private_set(order, w, map);
		next_word_set(next, w);
		return (w << WORD_SHIFT) + (u64)bit;
	}
	return NO_PFN;
}

/* From word w on, in lines of the node that have free pages, before line end. */
static u64 refill_from(u64 w, u64 end, unsigned int order, u64 *next)
{
	u64 line = hint_next(HINT_ANY, w / LINE_WORDS, end);

	for (; line < end; line = hint_next(HINT_ANY, line + 1, end)) {
		u64 first = line * LINE_WORDS, pfn = NO_PFN;

		if (line_node[line] == page_home_node())
			pfn = refill_from_words(w > first ? w : first, first + LINE_WORDS, order, next);
		if (pfn != NO_PFN)
			return pfn;
		if (w <= first)
			hint_recheck(HINT_ANY, line);
		mm_point();
	}
	return NO_PFN;
}

/* A whole line of the node is broken up for them. */
static u64 refill_from_whole(u64 line, u64 end, unsigned int order, u64 *next)
{
	for (line = hint_next(HINT_LINE, line, end); line < end; line = hint_next(HINT_LINE, line + 1, end)) {
		u64 pfn = NO_PFN;

		if (line_node[line] != page_home_node())
			continue;
		if (line_split(line))
			pfn = refill_from_words(line * LINE_WORDS, (line + 1) * LINE_WORDS, order, next);
		if (pfn != NO_PFN)
			return pfn;
		hint_recheck(HINT_LINE, line);
		mm_point();
	}
	return NO_PFN;
}

/*
 * From lines below, where others may have freed, at most so many at a time, the next ones
 * next time: most of them may have nothing of this order for long.
 */
static u64 refill_from_below(u64 first, u64 end, unsigned int order, struct refill_at *at)
{
	u64 line = READ_ONCE(at->below), pfn = NO_PFN;

	if (line < first || line >= end)
		line = first;
	for (unsigned int i = 0; i < BELOW_LINES && pfn == NO_PFN; i++) {
		line = hint_next(HINT_ANY, line, end);
		if (line == end)
			break;
		pfn = refill_from(line * LINE_WORDS, line + 1, order, &at->word);
		line += pfn == NO_PFN;
	}
	WRITE_ONCE(at->below, line);
	return pfn;
}

/*
 * From lines [first, end): on from where the last one was found; then from below, so
 * that what is passed from CPU to CPU does not eat its way through all memory; then a
 * whole line; at last whatever there is.
 */
static u64 refill_in(u64 first, u64 end, unsigned int order, struct refill_at *at)
{
	u64 w = READ_ONCE(at->word), upto, pfn;

	if (unlikely(w / LINE_WORDS < first || w / LINE_WORDS >= end))
		w = first * LINE_WORDS; /* the arena has changed */
	upto = w / LINE_WORDS + 1 < end ? w / LINE_WORDS + 1 : end;
	pfn = refill_from(w, end, order, &at->word);
	if (pfn == NO_PFN)
		pfn = refill_from_below(first, upto, order, at);
	if (pfn == NO_PFN)
		pfn = refill_from_whole(first, end, order, &at->word);
	return pfn != NO_PFN ? pfn : refill_from(first * LINE_WORDS, upto, order, &at->word);
}

/* The word where the last were found, and the one behind it: while a line lasts that is all
 * there is to do. */
static u64 refill_next(unsigned int order, struct refill_at *at)
{
	u64 w = READ_ONCE(at->word);

	return refill_from_words(w, (w + 1) % LINE_WORDS ? w + 2 : w + 1, order, &at->word);
}

/* From the CPU's own arena; when that is used up, from all of its node. */
static u64 private_refill(unsigned int order)
{
	struct page_cpu *pc = this_cpu_ptr(page_cpu);
	struct refill_at *near = &pc->near[order != 0];
	u64 pfn = refill_next(order, near);

	if (pfn == NO_PFN)
		pfn = refill_in(READ_ONCE(pc->arena_first), READ_ONCE(pc->arena_end), order, near);
	if (pfn != NO_PFN)
		return pfn;
	tight_check();
	return mm_tight ? NO_PFN : refill_in(0, nr_lines, order, &pc->far[order != 0]);
}

u64 page_flush_cpu(void)
{
	u64 n = 0;

	this_cpu_write64(page_cpu.line_given, 0);
	for (unsigned int i = 0; i < NR_PRIVATE; i++) {
		u64 v = this_cpu_read64(page_cpu.private[i]);

		while (v)
			if (this_cpu_cmpxchg64(&page_cpu.private[i], &v, 0)) {
				if ((u32)v)
					word_back(v >> 32, (u32)v);
				n += popcount32((u32)v);
				v = 0;
			}
	}
	return n;
}

/* -------------------------------------------------------------- allocation */

static u64 take_once(gfp_t gfp, int nid, unsigned int order, bool local)
{
	u64 pfn = NO_PFN;

	if (order > WORD_SHIFT || CONFIG_TINY)
		tight_check();
	else if (local && !mm_tight)
		pfn = private_refill(order);
	if (pfn == NO_PFN)
		pfn = take_nearest(nid, order, gfp & __GFP_THISNODE);
	return pfn;
}

/* While we look at one line, a block may be freed in one that we have passed: if
 * there is any now, look again. *left: there still was when we gave up. */
static u64 take_any(int nid, unsigned int order, bool *left)
{
	u64 pfn = NO_PFN;

	*left = true;
	for (unsigned int i = 0; pfn == NO_PFN && *left && i < MAP_LOOK_TRIES; i++) {
		pfn = take_last_look(nid, order);
		if (pfn == NO_PFN)
			*left = page_find_free(order, nid);
	}
	return pfn;
}

static u64 take_last(gfp_t gfp, int nid, unsigned int order, bool *left)
{
	u64 pfn = NO_PFN;
	bool got = true;

	press_begin();
	for (unsigned int i = 0; pfn == NO_PFN && got && i < RECLAIM_TRIES; i++) {
		got = reclaim();
		pfn = take_any(nid, order, left);
	}
	if (pfn == NO_PFN && reclaim_wait(gfp))
		pfn = take_any(nid, order, left);
	press_end();
	return pfn;
}

static __noinline u64 take_slow(gfp_t gfp, int nid, unsigned int order, bool local)
{
	int strict = gfp & __GFP_THISNODE ? nid : -1;
	u64 pfn = take_once(gfp, nid, order, local);
	bool left = false;

	if (pfn == NO_PFN)
		pfn = take_any(strict, order, &left);
	if (pfn == NO_PFN)
		pfn = take_last(gfp, strict, order, &left);
	if (pfn == NO_PFN && left)
		this_cpu_add64(mm_fail_counts.spurious, 1);
	return pfn;
}

void count_failure(void)
{
	this_cpu_add64(mm_fail_counts.failures, 1);
}

/* Of a block that was taken, order <= 5, all but the first 2^keep pages: to the private pages
 * that it was found with, else into the map. */
static void give_rest(u64 pfn, unsigned int order, unsigned int keep)
{
	u64 *private = private_word(order), v = this_cpu_read64(*private), w = pfn >> WORD_SHIFT;
	u32 rest = (run_mask(order) & ~run_mask(keep)) << (pfn & (WORD_PAGES - 1));

	do {
		if (v >> 32 != w) {
			word_back(w, rest);
			return;
		}
	} while (!this_cpu_cmpxchg64(private, &v, v | rest));
	if (unlikely(mm_tight))
		page_flush_cpu();
}

struct page *page_alloc_light(gfp_t gfp, int nid, unsigned int order, unsigned int least, enum page_type type)
{
	bool local = nid == NUMA_NO_NODE;
	struct page *page = local ? private_page(order, 0, type) : NULL;
	u64 pfn;

	if (likely(page))
		return page;
	if (fail_page(order))
		return NULL;
	if (local && least < order) /* what such a call has left: before there is a look for pages */
		page = private_take(private_word(order), least, 0, type);
	if (page)
		return page;
	mm_begin();
	pfn = take_once(gfp, local ? page_home_node() : nid, order, local);
	if (pfn != NO_PFN && local && least < order) {
		give_rest(pfn, order, least);
		order = least;
	}
	mm_end();
	return pfn == NO_PFN ? NULL : page_taken(pfn, order, 0, type);
}

struct page *page_alloc(gfp_t gfp, int nid, unsigned int order, u32 refcount, enum page_type type)
{
	bool local = nid == NUMA_NO_NODE;
	struct page *page = NULL;
	u64 pfn;

	if (order <= WORD_SHIFT && local)
		page = private_page(order, refcount, type);
	else if (order == LINE_SHIFT && local)
		page = line_page(refcount, type);
	if (page)
		return page;
	if (fail_page(order))
		return NULL;
	mm_begin();
	pfn = take_slow(gfp, local ? page_home_node() : nid, order, local);
	mm_end();
	return pfn == NO_PFN ? NULL : page_taken(pfn, order, refcount, type);
}

static void give_failed(u64 pfn, unsigned int order, enum page_type type)
{
	this_cpu_add64(page_cpu.allocated[type], 1UL << order);
	mm_report("free_pages", pfn_addr(pfn), "order %u: pages were free already", order);
}

void line_page_give(u64 pfn, enum page_type type)
{
	u64 line = pfn >> LINE_SHIFT;

	if (unlikely(!line_give(line)))
		give_failed(pfn, LINE_SHIFT, type);
	else if (likely(line_node[line] == page_home_node()))
		this_cpu_write64(page_cpu.line_given, line);
}

static bool give_block(u64 pfn, unsigned int order)
{
	u64 w = pfn >> WORD_SHIFT;

	if (order < WORD_SHIFT)
		return word_back(w, run_mask(order) << (pfn & (WORD_PAGES - 1)));
	return words_give(w, 1UL << (order - WORD_SHIFT));
}

/* The block's word becomes the private one. Pages that are freed in a row come from
 * few words, so the others' way through the free map is for one in many. */
static enum put private_change(u64 pfn, unsigned int order)
{
	u64 w = pfn >> WORD_SHIFT;
	u32 bits = run_mask(order) << (pfn & (WORD_PAGES - 1));

	if (CONFIG_TINY || mm_tight || line_node[pfn >> LINE_SHIFT] != page_home_node())
		return PUT_ELSEWHERE;
	if (word_peek(w) & bits)
		return PUT_TWICE;
	private_set(order, w, bits);
	return PUT_DONE;
}

void page_free_block(struct page *page, unsigned int order, enum page_type type)
{
	u64 pfn = page_pfn(page);
	enum put put = PUT_ELSEWHERE;

	mm_begin();
	page_given(page, order, type);
	if (order == LINE_SHIFT) {
		line_page_give(pfn, type);
	} else {
		if (order <= WORD_SHIFT)
			put = private_put(pfn, order);
		if (put == PUT_ELSEWHERE && order <= WORD_SHIFT)
			put = private_change(pfn, order);
		if (put == PUT_ELSEWHERE && give_block(pfn, order))
			put = PUT_DONE;
		if (unlikely(put != PUT_DONE))
			give_failed(pfn, order, type);
	}
	if (unlikely(mm_tight))
		page_freed_tight();
	mm_end();
}

/* Nobody keeps pages now; and it may be over. */
void page_freed_tight(void)
{
	mm_begin();
	page_flush_cpu();
	tight_check();
	mm_end();
}

bool mm_keeps_pages(void)
{
	return !CONFIG_TINY;
}

int page_home_node(void)
{
	return (int)this_cpu_read64(page_cpu.home_node);
}
