/*
 * acpi.c - the parsers of the firmware's tables, on tables made by hand: what good
 * ones say is taken, and bad ones are refused, whatever byte is wrong.
 */
#include "arch/x86_64/acpi.h"
#include <arch/machine.h>
#include "arch/x86_64/devices.h"
#include "lib/string.h"
#include "tests/test.h"

#define BOOT_ID 2
#define ENABLED 1
#define MAX_TABLE 2048

typedef const char *(*parse_fn)(struct acpi *a, const u8 *t, u32 len);

static u8 table[MAX_TABLE];
static u32 len;
static struct acpi acpi;

/* ---- making tables ---- */

static void put(u64 v, unsigned int bytes)
{
	while (bytes--) {
		table[len++] = (u8)v;
		v >>= 8;
	}
}

static void begin(const char *signature)
{
	memset(table, 0, sizeof(table));
	memcpy(table, signature, 4);
	len = ACPI_HEADER_SIZE;
}

static void finish(void)
{
	u8 sum = 0;

	memcpy(table + 4, &len, 4);
	table[9] = 0;
	for (u32 i = 0; i < len; i++)
		sum += table[i];
	table[9] = (u8)-sum;
}

static void madt_begin(void)
{
	begin("APIC");
	put(0xfee00000, 4);
	put(1, 4);
}

static void madt_cpu(u8 uid, u8 id, u32 flags)
{
	put(0, 1), put(8, 1), put(uid, 1), put(id, 1), put(flags, 4);
}

static void madt_x2apic(u32 uid, u32 id, u32 flags)
{
	put(9, 1), put(16, 1), put(0, 2), put(id, 4), put(flags, 4), put(uid, 4);
}

static void madt_good(void)
{
	madt_begin();
	madt_cpu(10, 0, ENABLED);
	madt_cpu(11, 1, 0);
	madt_cpu(12, BOOT_ID, ENABLED);
	madt_x2apic(12, BOOT_ID, ENABLED);
	madt_x2apic(1000, 300, ENABLED);
	put(1, 1), put(12, 1), put(7, 1), put(0, 1), put(0xfec00000, 4), put(0, 4);
	put(1, 1), put(12, 1), put(8, 1), put(0, 1), put(0xfec10000, 4), put(24, 4);
	put(2, 1), put(10, 1), put(0, 1), put(0, 1), put(2, 4), put(0, 2);   /* irq 0: GSI 2 */
	put(2, 1), put(10, 1), put(0, 1), put(9, 1), put(9, 4), put(0xf, 2); /* low, level */
	put(4, 1), put(6, 1), put(0xff, 1), put(0, 2), put(1, 1);            /* all: LINT1 */
	put(10, 1), put(12, 1), put(3, 2), put(1000, 4), put(0, 1), put(0, 3);
	put(5, 1), put(12, 1), put(0, 2), put(0x1fee00000, 8);
	put(0x7f, 1), put(5, 1), put(0, 3); /* of a kind unknown */
	finish();
}

static void srat_begin(void)
{
	begin("SRAT");
	put(1, 4), put(0, 8);
}

static void srat_cpu(u32 domain, u8 id, u32 flags)
{
	put(0, 1), put(16, 1), put(domain, 1), put(id, 1), put(flags, 4), put(0, 1);
	put(domain >> 8, 3), put(0, 4);
}

static void srat_x2apic(u32 domain, u32 id, u32 flags)
{
	put(2, 1), put(24, 1), put(0, 2), put(domain, 4), put(id, 4), put(flags, 4), put(0, 8);
}

static void srat_mem(u32 domain, u64 base, u64 size, u32 flags)
{
	put(1, 1), put(40, 1), put(domain, 4), put(0, 2), put(base, 8), put(size, 8), put(0, 4);
	put(flags, 4), put(0, 8);
}

static void srat_good(void)
{
	srat_begin();
	srat_cpu(7, BOOT_ID, ENABLED);
	srat_cpu(0x12345, 0, ENABLED);
	srat_x2apic(3, 300, ENABLED);
	srat_cpu(99, 55, ENABLED); /* no such CPU: no such node */
	srat_cpu(98, 0, 0);
	srat_mem(7, 0, 0xa0000, ENABLED);
	srat_mem(7, 0x100000, 0x7ff00000, ENABLED);
	srat_mem(3, 0x80000000, 0x40000000, ENABLED);
	srat_mem(97, 0xc0000000, 0x1000, 0);
	srat_mem(96, 0xd0000000, 0, ENABLED);
	finish();
}

static void slit_make(u64 n, const u8 *matrix, u32 bytes)
{
	begin("SLIT");
	put(n, 8);
	while (bytes--)
		put(*matrix++, 1);
	finish();
}

static void slit_good(void)
{
	u8 m[64];

	for (unsigned int i = 0; i < 64; i++)
		m[i] = i / 8 == i % 8 ? 10 : (u8)(20 + i);
	slit_make(8, m, 64);
}

static void hpet_good(void)
{
	begin("HPET");
	put(0x8086a201, 4), put(0, 1), put(64, 1), put(0, 2), put(0xfed00000, 8);
	put(0, 1), put(100, 2), put(0, 1);
	finish();
}

/* The good tables, in the order in which they are read. */
static const struct {
	const char *signature;
	void (*make)(void);
	parse_fn parse;
} good[] = {
	{ "APIC", madt_good, acpi_parse_madt },
	{ "SRAT", srat_good, acpi_parse_srat },
	{ "SLIT", slit_good, acpi_parse_slit },
	{ "HPET", hpet_good, acpi_parse_hpet },
};

/* *acpi as the good tables before number n leave it. */
static void prepare(unsigned int n)
{
	acpi_defaults(&acpi, BOOT_ID, 0xfffffffe);
	for (unsigned int i = 0; i < n; i++) {
		good[i].make();
		EXPECT(!acpi_check_table(table, len, good[i].signature));
		EXPECT(!good[i].parse(&acpi, table, len));
	}
}

/* ---- good tables ---- */

/* A kernel for one CPU leaves all others out. */
static bool room_for_cpus(void)
{
	if (NR_CPUS > 1)
		return true;
	test_skip("this kernel is for one CPU");
	return false;
}

TEST(acpi, madt, "CPUs, I/O APICs, overrides and NMI inputs are taken; the boot CPU comes first")
{
	if (!room_for_cpus())
		return;
	prepare(1);
	EXPECT_EQ(acpi.nr_cpus, 3);
	EXPECT_EQ(acpi.cpus[0].apic_id, BOOT_ID);
	EXPECT_EQ(acpi.cpus[1].apic_id, 0);
	EXPECT_EQ(acpi.cpus[2].apic_id, 300);
	EXPECT_EQ(acpi.cpus_unused, 0);
	EXPECT_EQ(acpi.nr_ioapics, 2);
	EXPECT_EQ(acpi.ioapics[1].base, 0xfec10000);
	EXPECT_EQ(acpi.ioapics[1].gsi_base, 24);
	EXPECT_EQ(acpi.isa[0].gsi, 2);
	EXPECT_EQ(acpi.isa[1].gsi, 1);
	EXPECT_EQ(ACPI_POLARITY(acpi.isa[9].flags), ACPI_ACTIVE_LOW);
	EXPECT_EQ(acpi.cpus[0].nmi_lints, 2);
	EXPECT_EQ(acpi.cpus[2].nmi_lints, 3);
	EXPECT_EQ(ACPI_POLARITY(acpi.cpus[2].lint_flags[0]), ACPI_ACTIVE_LOW);
	EXPECT_EQ(acpi.lapic_base, 0x1fee00000);
}

TEST(acpi, many_cpus, "CPUs beyond the most, or that cannot be addressed, are counted, not taken")
{
	if (!room_for_cpus())
		return;
	madt_begin();
	for (u32 i = 0; i < NR_CPUS + 6; i++)
		madt_x2apic(i, i, ENABLED);
	finish();
	acpi_defaults(&acpi, NR_CPUS + 5, 0xfffffffe); /* the last one has booted */
	EXPECT_EQ(acpi_parse_madt(&acpi, table, len), NULL);
	EXPECT_EQ(acpi.nr_cpus, NR_CPUS);
	EXPECT_EQ(acpi.cpus_unused, 6);
	EXPECT_EQ(acpi.cpus[0].apic_id, NR_CPUS + 5);
	EXPECT_EQ(acpi.cpus[NR_CPUS - 1].apic_id, NR_CPUS - 2);
	madt_good();
	acpi_defaults(&acpi, BOOT_ID, 254);
	EXPECT_EQ(acpi_parse_madt(&acpi, table, len), NULL);
	EXPECT_EQ(acpi.nr_cpus, 2);
	EXPECT_EQ(acpi.cpus_unused, 1);
}

TEST(acpi, srat, "nodes are dense, in the order of the firmware's numbers, of CPUs and memory alike")
{
	if (!room_for_cpus())
		return;
	prepare(2);
	EXPECT_EQ(acpi.nr_nodes, 3);
	EXPECT_EQ(acpi.domains[0], 3);
	EXPECT_EQ(acpi.domains[1], 7);
	EXPECT_EQ(acpi.domains[2], 0x12345);
	EXPECT_EQ(acpi.cpus[0].node, 1);
	EXPECT_EQ(acpi.cpus[1].node, 2);
	EXPECT_EQ(acpi.cpus[2].node, 0);
	EXPECT_EQ(acpi.nr_mem, 3);
	EXPECT_EQ(acpi.mem[2].base, 0x80000000);
	EXPECT_EQ(acpi.mem[2].end, 0xc0000000);
	EXPECT_EQ(acpi.mem[2].node, 0);
}

TEST(acpi, slit, "distances go by the firmware's numbers; what the table does not tell is 10 and 20")
{
	prepare(3);
	EXPECT_EQ(acpi.distance[0][1], 20 + 3 * 8 + 7);
	EXPECT_EQ(acpi.distance[1][0], 20 + 7 * 8 + 3);
	EXPECT_EQ(acpi.distance[0][0], 10);
	EXPECT_EQ(acpi.distance[0][2], 20); /* number 0x12345 has no row */
	EXPECT_EQ(acpi.distance[2][2], 10);
}

TEST(acpi, hpet, "the address of the HPET is taken")
{
	prepare(4);
	EXPECT_EQ(acpi.hpet_base, 0xfed00000);
}

/* ---- bad tables ---- */

TEST(acpi, header, "signature, length and checksum are checked, and nothing beyond what can be read")
{
	u32 own;

	hpet_good();
	EXPECT_EQ(acpi_check_table(table, len, "HPET"), NULL);
	EXPECT_EQ(acpi_check_table(table, MAX_TABLE, "HPET"), NULL);
	EXPECT(acpi_check_table(table, len, "APIC"));
	EXPECT(acpi_check_table(table, len - 1, "HPET"));
	EXPECT(acpi_check_table(table, ACPI_HEADER_SIZE - 1, "HPET"));
	EXPECT(acpi_check_table(table, 0, "HPET"));
	for (u32 i = 0; i < len; i++) {
		table[i] ^= 0x10;
		EXPECT(acpi_check_table(table, len, "HPET"));
		table[i] ^= 0x10;
	}
	for (own = 0; own < ACPI_HEADER_SIZE; own++) {
		memcpy(table + 4, &own, 4);
		EXPECT(acpi_check_table(table, len, "HPET"));
	}
	own = 0xffffffff;
	memcpy(table + 4, &own, 4);
	EXPECT(acpi_check_table(table, own, "HPET"));
}

static void expect_refused(unsigned int n, const char *what)
{
	finish();
	if (!good[n].parse(&acpi, table, len))
		test_fail(__FILE__, __LINE__, "taken: %s", what);
}

/* A table whose last entry is all there but one byte shorter than its kind must be. */
static void expect_short_refused(unsigned int n, void (*begin_table)(void), u8 kind, u8 least)
{
	prepare(n);
	begin_table();
	put(kind, 1), put(least - 1u, 1), put(0, least - 3u);
	expect_refused(n, "a short entry");
}

TEST(acpi, short_entries, "an entry that is too short for its kind is refused")
{
	static const u8 madt[][2] = { { 0, 8 }, { 1, 12 }, { 2, 10 }, { 4, 6 }, { 5, 12 }, { 9, 16 }, { 10, 12 } };
	static const u8 srat[][2] = { { 0, 16 }, { 1, 40 }, { 2, 24 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(madt); i++)
		expect_short_refused(0, madt_begin, madt[i][0], madt[i][1]);
	for (unsigned int i = 0; i < ARRAY_SIZE(srat); i++)
		expect_short_refused(1, srat_begin, srat[i][0], srat[i][1]);
}

TEST(acpi, srat_bad, "memory of two nodes, beyond the address space, and too many nodes are refused")
{
	prepare(1);
	srat_begin();
	srat_mem(1, 0x1000, 0x2000, ENABLED), srat_mem(2, 0x2fff, 0x1000, ENABLED);
	expect_refused(1, "memory of two nodes");
	prepare(1);
	srat_begin();
	srat_mem(1, -0x1000UL, 0x2000, ENABLED);
	expect_refused(1, "memory beyond the end");
	prepare(1);
	srat_begin();
	for (u32 i = 0; i <= MAX_NUMNODES; i++)
		srat_mem(i, i * 0x1000, 0x1000, ENABLED);
	expect_refused(1, "too many nodes");
	prepare(1);
	srat_begin();
	expect_refused(1, "nothing");
}

TEST(acpi, slit_bad, "a matrix that is not all there, or has impossible distances, is refused")
{
	u8 m[64];

	memset(m, 10, sizeof(m));
	prepare(2);
	slit_make(8, m, 63);
	expect_refused(2, "one byte too few");
	slit_make(0x100000001UL, m, 64); /* its square, in 64 bits, is small */
	expect_refused(2, "2^32 + 1 nodes");
	slit_make(~0UL, m, 64);
	expect_refused(2, "2^64 - 1 nodes");
	slit_make(0, m, 0);
	finish();
	EXPECT_EQ(acpi_parse_slit(&acpi, table, len), NULL);
	m[3 * 8 + 3] = 11;
	slit_make(8, m, 64);
	expect_refused(2, "11 to itself");
	m[3 * 8 + 3] = 10;
	m[3 * 8 + 7] = 9;
	slit_make(8, m, 64);
	expect_refused(2, "9 to another");
}

TEST(acpi, hpet_bad, "registers in I/O space or at 0 are refused")
{
	prepare(3);
	hpet_good();
	table[40] = 1;
	expect_refused(3, "I/O space");
	hpet_good();
	memset(table + 44, 0, 8);
	expect_refused(3, "at 0");
}

/* What must hold whatever a table says, if it was taken. */
static void expect_sane(void)
{
	EXPECT(acpi.nr_cpus >= 1 && acpi.nr_cpus <= NR_CPUS && acpi.cpus[0].apic_id == BOOT_ID);
	EXPECT(acpi.nr_ioapics <= ACPI_MAX_IOAPICS);
	EXPECT(acpi.nr_nodes >= 1 && acpi.nr_nodes <= MAX_NUMNODES);
	EXPECT(acpi.nr_mem <= ACPI_MAX_MEM);
	for (unsigned int i = 0; i < acpi.nr_cpus && i < NR_CPUS; i++)
		EXPECT((unsigned int)acpi.cpus[i].node < acpi.nr_nodes);
	for (unsigned int i = 0; i < acpi.nr_mem && i < ACPI_MAX_MEM; i++)
		EXPECT((unsigned int)acpi.mem[i].node < acpi.nr_nodes && acpi.mem[i].base < acpi.mem[i].end);
	for (unsigned int i = 0; i < acpi.nr_nodes; i++)
		EXPECT_EQ(acpi.distance[i][i], 10);
}

TEST(acpi, every_byte, "a table with any one byte changed is refused, or leaves a machine that makes sense")
{
	static const u8 values[] = { 0, 1, 2, 0x7f, 0x80, 0xff };
	u64 taken = 0, refused = 0;

	for (unsigned int n = 0; n < ARRAY_SIZE(good); n++) {
		good[n].make();
		for (u32 i = ACPI_HEADER_SIZE, end = len; i < end; i++) {
			for (unsigned int v = 0; v < ARRAY_SIZE(values); v++) {
				prepare(n);
				good[n].make();
				table[i] = values[v];
				if (good[n].parse(&acpi, table, len)) {
					refused++;
					continue;
				}
				taken++;
				expect_sane();
			}
		}
	}
	test_note("%lu tables taken, %lu refused", taken, refused);
	EXPECT(taken && refused);
}

TEST(acpi, every_length, "a table cut anywhere is read as far as it goes: what lies behind it has no effect")
{
	static struct acpi first;

	for (unsigned int n = 0; n < ARRAY_SIZE(good); n++) {
		good[n].make();
		for (u32 cut = ACPI_HEADER_SIZE, end = len; cut <= end; cut++) {
			const char *wrong[2];

			for (unsigned int i = 0; i < 2; i++) {
				prepare(n);
				good[n].make();
				memset(table + cut, i ? 0xff : 0, MAX_TABLE - cut);
				wrong[i] = good[n].parse(&acpi, table, cut);
				if (!i)
					first = acpi;
			}
			EXPECT_EQ(wrong[0], wrong[1]);
			if (!wrong[0])
				EXPECT(!memcmp(&first, &acpi, sizeof(acpi)));
		}
	}
}

/* ---- nodes of memory ranges ---- */
static struct mem_range ranges[MAX_MEM_RANGES];

static void expect_range(unsigned int i, u64 base, u64 size, int node)
{
	EXPECT_EQ(ranges[i].base, base);
	EXPECT_EQ(ranges[i].size, size);
	EXPECT_EQ(ranges[i].node, node);
}

TEST(acpi, ranges, "memory is cut at the borders of nodes, whole pages, nothing lost; the rest is node 0")
{
	unsigned int n = 2;

	acpi_defaults(&acpi, 0, 254);
	acpi.nr_nodes = 3;
	acpi.nr_mem = 3;
	acpi.mem[0] = (struct acpi_mem){ 0x20000, 0x30000, 2 };
	acpi.mem[1] = (struct acpi_mem){ 0x10000, 0x20000, 1 };
	acpi.mem[2] = (struct acpi_mem){ 0x40800, 0x50000, 1 };
	ranges[0] = (struct mem_range){ .base = 0x8000, .size = 0x20000 };
	ranges[1] = (struct mem_range){ .base = 0x2a000, .size = 0x20000 };
	EXPECT_EQ(ranges_set_nodes(ranges, &n, &acpi), 0);
	REQUIRE(n == 6);
	expect_range(0, 0x8000, 0x8000, 0);
	expect_range(1, 0x10000, 0x10000, 1);
	expect_range(2, 0x20000, 0x8000, 2);
	expect_range(3, 0x2a000, 0x6000, 2);
	expect_range(4, 0x30000, 0x11000, 0); /* up to the page with the border in it */
	expect_range(5, 0x41000, 0x9000, 1);
}

TEST(acpi, ranges_full, "with no slot left a range stays whole")
{
	unsigned int n = MAX_MEM_RANGES;

	acpi_defaults(&acpi, 0, 254);
	acpi.nr_nodes = 2;
	acpi.nr_mem = 1;
	acpi.mem[0] = (struct acpi_mem){ 0x3000, 0x100000, 1 };
	for (unsigned int i = 0; i < n; i++)
		ranges[i] = (struct mem_range){ .base = 0x2000 + i * 0x3000UL, .size = 0x2000 };
	EXPECT_EQ(ranges_set_nodes(ranges, &n, &acpi), 1);
	EXPECT_EQ(n, MAX_MEM_RANGES);
	expect_range(0, 0x2000, 0x2000, 0);
	expect_range(1, 0x5000, 0x2000, 1);
	expect_range(n - 1, 0x2000 + (n - 1) * 0x3000UL, 0x2000, n * 0x3000UL < 0x100000);
}
