/*
 * multiboot2.c - the parser of the boot information, on information made by hand: what
 * it says is taken, and a tag that lies about its length is not believed.
 */
#include "arch/x86_64/multiboot2.h"
#include "lib/string.h"
#include "tests/test.h"

#define MIB (1UL << 20)
#define MAX_INFO 1024
#define RAM 1
#define RESERVED 2

static struct {
	u8 byte[MAX_INFO];
	u32 len, tag; /* tag: where the last one begins */
} info;
static struct boot_info b;

/* ---- making it ---- */

static void put(u64 v, unsigned int bytes)
{
	while (bytes--) {
		info.byte[info.len++] = (u8)v;
		v >>= 8;
	}
}

static void begin(void)
{
	memset(&info, 0xff, sizeof(info)); /* what lies behind it is not zero */
	memset(&b, 0, sizeof(b));
	info.len = 0;
	put(0, 8);
}

static void tag_size(u32 size)
{
	memcpy(info.byte + info.tag + 4, &size, 4);
}

static void tag_begin(u32 type)
{
	while (info.len % 8)
		put(0, 1);
	info.tag = info.len;
	put(type, 4);
	put(0, 4);
}

static void tag_end(void)
{
	tag_size(info.len - info.tag);
}

static void text(const char *s)
{
	tag_begin(1);
	while (*s)
		put((u8)*s++, 1);
	put(0, 1);
	tag_end();
}

static void map_begin(u32 entry_size)
{
	tag_begin(6);
	put(entry_size, 4);
	put(0, 4);
}

static void entry(u64 base, u64 len, u32 type)
{
	put(base, 8), put(len, 8), put(type, 4), put(0, 4);
}

static void root_pointer(u32 type, u8 revision, unsigned int bytes)
{
	u8 sum = 0;

	tag_begin(type);
	for (const char *s = "RSD PTR "; *s; s++)
		put((u8)*s, 1);
	put(0, 7), put(revision, 1);
	put(0x1000 + type, 4); /* the RSDT */
	put(0x77, bytes - 20);
	for (unsigned int i = 0; i < 20; i++)
		sum += info.byte[info.tag + 8 + i];
	info.byte[info.tag + 16] = (u8)-sum;
	tag_end();
}

static const char *read_it(void)
{
	return multiboot2_read(&b, info.byte, info.len);
}

static u64 usable(void)
{
	boot_memory_finish(&b);
	return span_total(&b.usable);
}

/* ---- cases ---- */

TEST(multiboot2, good, "command line, memory map and root pointer are taken")
{
	begin();
	text("seconds=3");
	map_begin(24);
	entry(0, 0xa0000, RAM);
	entry(MIB, 63 * MIB, RAM);
	entry(8 * MIB, MIB, RESERVED);
	tag_end();
	root_pointer(14, 0, 20);
	root_pointer(15, 2, 36);
	tag_begin(0);
	tag_size(8);
	EXPECT(!read_it());
	EXPECT(!strcmp(b.cmdline, "seconds=3"));
	EXPECT(b.rsdp_found);
	EXPECT_EQ(b.rsdp[16], 15); /* the newer one */
	EXPECT_EQ(usable(), 62 * MIB);
	EXPECT_EQ(b.usable.n, 2);
	EXPECT_EQ(b.low_page, 0x9f000);
}

TEST(multiboot2, text_without_end, "a command line without its 0 ends with its tag")
{
	begin();
	text("abc");
	info.len--;
	tag_end();
	EXPECT(!read_it());
	EXPECT(!strcmp(b.cmdline, "abc"));
}

TEST(multiboot2, tag_too_long, "a tag that says to be longer than what is there, or shorter than itself, ends it")
{
	static const u32 sizes[] = { 0, 7, 13, 100, 0x7fffffff, 0xfffffff8, 0xfffffff9, 0xffffffff };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		begin();
		text("first");
		text("next");
		info.len = info.tag + 12;
		tag_size(sizes[i]);
		EXPECT(read_it() != NULL);
		EXPECT(!strcmp(b.cmdline, "first"));
	}
}

TEST(multiboot2, every_cut, "information that ends anywhere is read to there and no further")
{
	u32 len;

	begin();
	text("first");
	map_begin(24);
	entry(MIB, 16 * MIB, RAM);
	tag_end();
	root_pointer(15, 2, 36);
	len = info.len;
	for (info.len = 0; info.len < len; info.len++) {
		memset(&b, 0, sizeof(b));
		read_it();
		EXPECT(!b.rsdp_found);
	}
	memset(&b, 0, sizeof(b));
	EXPECT(!read_it());
	EXPECT(b.rsdp_found);
	EXPECT_EQ(usable(), 16 * MIB);
}

TEST(multiboot2, entries, "entries of a memory map have their size, at least 24, and only whole ones count")
{
	begin();
	map_begin(23);
	entry(MIB, 16 * MIB, RAM);
	tag_end();
	EXPECT(read_it() != NULL);
	EXPECT_EQ(usable(), 0);
	begin();
	map_begin(0x80000000);
	entry(MIB, 16 * MIB, RAM);
	tag_end();
	EXPECT(!read_it());
	EXPECT_EQ(usable(), 0);
	begin();
	map_begin(24);
	entry(MIB, 16 * MIB, RAM);
	entry(32 * MIB, 16 * MIB, RAM);
	info.len -= 5;
	tag_end();
	EXPECT(!read_it());
	EXPECT_EQ(usable(), 16 * MIB);
}

TEST(multiboot2, short_root, "a root pointer that says to be new in an old one's tag is read as an old one")
{
	begin();
	root_pointer(14, 2, 20);
	EXPECT(!read_it());
	EXPECT(b.rsdp_found);
	for (unsigned int i = RSDP_OLD_SIZE; i < RSDP_SIZE; i++)
		EXPECT_EQ(b.rsdp[i], 0);
	begin();
	root_pointer(15, 0, 20);
	info.len -= 1;
	tag_end();
	EXPECT(!read_it());
	EXPECT(!b.rsdp_found);
}

TEST(multiboot2, end_of_addresses, "RAM up to the end of all addresses, or overlapping, is usable only where it is mapped")
{
	begin();
	map_begin(24);
	entry(MIB + 5, ~0UL, RAM);
	entry(2 * MIB, ~0UL - 2 * MIB, RAM);
	tag_end();
	EXPECT(!read_it());
	EXPECT_EQ(usable(), DIRECT_MAP_MAX - MIB - PAGE_SIZE);
	EXPECT_EQ(span_total(&b.mapped), DIRECT_MAP_MAX);
}
