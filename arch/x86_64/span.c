/*
 * span.c - lists of address ranges: add with merging, cut out, round.
 *
 * Invariant: a list is sorted, its spans are not empty, disjoint, and do not
 * touch. CPU 0 while booting.
 */
#include "private.h"

static void remove_at(struct span_list *l, unsigned int i, unsigned int count)
{
	for (unsigned int j = i; j + count < l->n; j++)
		l->s[j] = l->s[j + count];
	l->n -= count;
}

static bool insert_at(struct span_list *l, unsigned int i, u64 base, u64 end)
{
	if (l->n == MAX_MEM_RANGES) {
		l->lost += end - base;
		return false;
	}
	for (unsigned int j = l->n++; j > i; j--)
		l->s[j] = l->s[j - 1];
	l->s[i].base = base;
	l->s[i].end = end;
	return true;
}

void span_add(struct span_list *l, u64 base, u64 end)
{
	unsigned int i = 0, j;

	if (base >= end)
		return;
	while (i < l->n && l->s[i].end < base)
		i++;
	/* Spans i to j - 1 overlap the new one or touch it: one span of all. */
	for (j = i; j < l->n && l->s[j].base <= end; j++) {
		if (l->s[j].base < base)
			base = l->s[j].base;
		if (l->s[j].end > end)
			end = l->s[j].end;
	}
	remove_at(l, i, j - i);
	insert_at(l, i, base, end);
}

void span_cut(struct span_list *l, u64 base, u64 end)
{
	for (unsigned int i = 0; i < l->n && base < end;) {
		u64 b = l->s[i].base, e = l->s[i].end;

		if (e <= base || b >= end) {
			i++;
			continue;
		}
		remove_at(l, i, 1);
		if (b < base && insert_at(l, i, b, base))
			i++;
		if (e > end && insert_at(l, i, end, e))
			i++;
	}
}

void span_round_inward(struct span_list *l)
{
	for (unsigned int i = 0; i < l->n;) {
		u64 b = (l->s[i].base + PAGE_SIZE - 1) & PAGE_MASK, e = l->s[i].end & PAGE_MASK;

		if (b >= e) {
			remove_at(l, i, 1);
			continue;
		}
		l->s[i].base = b;
		l->s[i].end = e;
		i++;
	}
}

u64 span_total(const struct span_list *l)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < l->n; i++)
		sum += l->s[i].end - l->s[i].base;
	return sum;
}
