/*
 * acpi_tables.c - target: the parsers of the tables MADT, SRAT, SLIT and HPET, each on
 * bytes of its own (arch/x86_64/acpi_parse.c).
 *
 * An input is a row of {table, length of two bytes, bytes behind the header}; as in the
 * kernel each kind is read once, in the order above. Header, length and checksum are
 * made right, as who cannot get past them learns nothing; a table of type 4 and above
 * is left as it is, header and all, and may be refused.
 */
#include "fuzz/acpi_check.h"
#include "fuzz/fuzz.h"
#include <stdlib.h>
#include <string.h>

static const struct {
	char signature[5];
	const char *(*parse)(struct acpi *a, const u8 *t, u32 len);
} parsers[] = {
	{ "APIC", acpi_parse_madt }, { "SRAT", acpi_parse_srat }, { "SLIT", acpi_parse_slit },
	{ "HPET", acpi_parse_hpet },
};
#define NR_PARSERS ARRAY_SIZE(parsers)

static void parse(struct acpi *a, unsigned int type, const u8 *t, u32 len)
{
	struct acpi draft = *a;
	u32 own;

	memcpy(&own, t + 4, 4);
	FUZZ_CHECK(own >= ACPI_HEADER_SIZE && own <= len);
	if (parsers[type].parse(&draft, t, own))
		return; /* as in acpi.c: refused, and nothing of it counts */
	acpi_check(&draft);
	*a = draft;
}

static void raw_table(struct acpi *a, unsigned int type, const u8 *bytes, u32 len)
{
	u8 *t = fuzz_exact(bytes, len);

	if (!acpi_check_table(t, len, parsers[type].signature))
		parse(a, type, t, len);
	fuzz_exact_free(t);
}

static void good_table(struct acpi *a, unsigned int type, const u8 *bytes, u32 len)
{
	u8 *t = malloc(ACPI_HEADER_SIZE + len);

	memset(t, 0, ACPI_HEADER_SIZE);
	memcpy(t, parsers[type].signature, 4);
	if (len)
		memcpy(t + ACPI_HEADER_SIZE, bytes, len);
	acpi_seal(t, ACPI_HEADER_SIZE + len);
	FUZZ_CHECK(!acpi_check_table(t, ACPI_HEADER_SIZE + len, parsers[type].signature));
	parse(a, type, t, ACPI_HEADER_SIZE + len);
	free(t);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct fuzz_input in = { data, size };
	unsigned int next = 0;
	struct acpi a;

	acpi_defaults(&a, BOOT_APIC_ID, MAX_APIC_ID);
	acpi_check(&a);
	while (in.left && next < NR_PARSERS) {
		unsigned int type = fuzz_u8(&in);
		u32 len = fuzz_u16(&in);

		if (len > in.left)
			len = (u32)in.left;
		if (type % NR_PARSERS >= next) {
			next = type % NR_PARSERS + 1;
			if (type % (2 * NR_PARSERS) < NR_PARSERS)
				good_table(&a, next - 1, in.p, len);
			else
				raw_table(&a, next - 1, in.p, len);
		}
		in.p += len;
		in.left -= len;
	}
	return 0;
}
