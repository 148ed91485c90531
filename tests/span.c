/*
 * span.c - the lists of address ranges from which the memory map is made:
 * overlapping, unaligned, touching and contained entries.
 */
#include "arch/x86_64/private.h"
#include "tests/test.h"

static struct span_list list;

static void expect_span(unsigned int i, u64 base, u64 end)
{
	EXPECT(i < list.n);
	EXPECT_EQ(list.s[i].base, base);
	EXPECT_EQ(list.s[i].end, end);
}

TEST(span, add, "spans are sorted, and merged where they overlap or touch")
{
	list.n = 0;
	span_add(&list, 100, 200);
	span_add(&list, 10, 20);
	span_add(&list, 300, 400);
	span_add(&list, 50, 50);
	EXPECT_EQ(list.n, 3);
	expect_span(0, 10, 20);
	span_add(&list, 20, 30); /* touches */
	expect_span(0, 10, 30);
	span_add(&list, 150, 350); /* bridges two */
	EXPECT_EQ(list.n, 2);
	expect_span(1, 100, 400);
	span_add(&list, 120, 130); /* inside */
	expect_span(1, 100, 400);
	EXPECT_EQ(span_total(&list), 320);
}

TEST(span, cut, "what is cut is gone, at the edges, in the middle and across spans")
{
	list.n = 0;
	span_add(&list, 100, 200);
	span_add(&list, 300, 400);
	span_add(&list, 500, 600);
	span_cut(&list, 0, 100);
	span_cut(&list, 200, 300);
	EXPECT_EQ(list.n, 3);
	span_cut(&list, 150, 160);
	EXPECT_EQ(list.n, 4);
	expect_span(0, 100, 150);
	expect_span(1, 160, 200);
	span_cut(&list, 180, 550);
	EXPECT_EQ(list.n, 3);
	expect_span(1, 160, 180);
	expect_span(2, 550, 600);
	span_cut(&list, 100, 101);
	expect_span(0, 101, 150);
	span_cut(&list, 0, ~0UL);
	EXPECT_EQ(list.n, 0);
}

TEST(span, round, "only whole pages are left")
{
	list.n = 0;
	span_add(&list, 0x1001, 0x3fff);
	span_add(&list, 0x5001, 0x5fff);
	span_add(&list, 0x7000, 0x8000);
	span_round_inward(&list);
	EXPECT_EQ(list.n, 2);
	expect_span(0, 0x2000, 0x3000);
	expect_span(1, 0x7000, 0x8000);
}

TEST(span, full, "a list with no slot left counts what it loses")
{
	list.n = 0;
	list.lost = 0;
	for (u64 i = 0; i <= MAX_MEM_RANGES; i++)
		span_add(&list, i * 10, i * 10 + 4);
	EXPECT_EQ(list.n, MAX_MEM_RANGES);
	EXPECT_EQ(list.lost, 4);
}
