/*
 * acpi_parse.c - the tables MADT, SRAT, SLIT and HPET, out of untrusted bytes.
 *
 * Pure functions, see acpi.h. Invariant: no byte at or beyond len is read, and
 * nothing is written but *a. A table with entries is walked once to see that every
 * entry lies in it and is as long as its type needs; only then is it read. So a
 * table counts as a whole or not at all. Any context.
 */
#include "lib/string.h"
#include "acpi.h"

#define ENABLED 1u /* flags of CPUs and memory */
#define UID_NONE 0xfffffffeu
#define UID_ALL 0xffffffffu
#define DISTANCE_SELF 10
#define DISTANCE_OTHER 20

static u16 get16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

static u32 get32(const u8 *p)
{
	return get16(p) | (u32)get16(p + 2) << 16;
}

static u64 get64(const u8 *p)
{
	return get32(p) | (u64)get32(p + 4) << 32;
}

bool acpi_sum_is_zero(const u8 *p, u32 len)
{
	u8 sum = 0;

	for (u32 i = 0; i < len; i++)
		sum += p[i];
	return !sum;
}

const char *acpi_check_table(const u8 *t, u32 len, const char *signature)
{
	u32 own;

	if (len < ACPI_HEADER_SIZE)
		return "shorter than its header";
	if (memcmp(t, signature, 4))
		return "another signature";
	own = get32(t + 4);
	if (own < ACPI_HEADER_SIZE || own > ACPI_TABLE_MAX)
		return "impossible length";
	if (own > len)
		return "longer than what can be read";
	if (!acpi_sum_is_zero(t, own))
		return "wrong checksum";
	return NULL;
}

static void cpu_init(struct acpi_cpu *c, u32 apic_id, u32 uid)
{
	*c = (struct acpi_cpu){ .apic_id = apic_id, .uid = uid };
}

static void distances_default(struct acpi *a)
{
	for (unsigned int i = 0; i < MAX_NUMNODES; i++)
		for (unsigned int j = 0; j < MAX_NUMNODES; j++)
			a->distance[i][j] = i == j ? DISTANCE_SELF : DISTANCE_OTHER;
}

void acpi_defaults(struct acpi *a, u32 boot_apic_id, u32 max_apic_id)
{
	memset(a, 0, sizeof(*a));
	a->max_apic_id = max_apic_id;
	a->nr_cpus = 1;
	cpu_init(&a->cpus[0], boot_apic_id, UID_NONE);
	a->cpus[0].nmi_lints = 1 << 1;
	a->nr_nodes = 1;
	for (u32 i = 0; i < ACPI_ISA_IRQS; i++)
		a->isa[i].gsi = i;
	distances_default(a);
}

/* ---- tables with entries: type 1 byte, length 1 byte, the rest ---- */

/* The least length of the entries of each type that is read; 0: passed over. */
struct entry_kinds {
	u32 first; /* offset of the first entry */
	u8 least[16];
};

static const char *check_entries(const u8 *t, u32 len, const struct entry_kinds *k)
{
	u32 off = k->first;

	if (len < k->first)
		return "shorter than its fixed part";
	while (off < len) {
		if (len - off < 2 || t[off + 1] < 2 || t[off + 1] > len - off)
			return "an entry that goes beyond its end";
		if (t[off] < sizeof(k->least) && t[off + 1] < k->least[t[off]])
			return "an entry that is too short for its type";
		off += t[off + 1];
	}
	return NULL;
}

typedef const char *(*entry_fn)(struct acpi *a, const u8 *e);

/* fn on each entry of a type that is read, until one says what is wrong. */
static const char *each_entry(struct acpi *a, const u8 *t, u32 len, const struct entry_kinds *k,
			      entry_fn fn)
{
	const char *wrong = NULL;

	for (u32 off = k->first; off < len && !wrong; off += t[off + 1])
		if (t[off] < sizeof(k->least) && k->least[t[off]])
			wrong = fn(a, t + off);
	return wrong;
}

/* ---- MADT ---- */
enum { LAPIC = 0, IOAPIC = 1, OVERRIDE = 2, LAPIC_NMI = 4, LAPIC_BASE = 5, X2APIC = 9, X2APIC_NMI = 10 };

static const struct entry_kinds madt_kinds = {
	.first = 44,
	.least = { [LAPIC] = 8, [IOAPIC] = 12, [OVERRIDE] = 10, [LAPIC_NMI] = 6, [LAPIC_BASE] = 12,
		   [X2APIC] = 16, [X2APIC_NMI] = 12 },
};

static struct acpi_cpu *cpu_find(struct acpi *a, u32 apic_id)
{
	for (unsigned int i = 0; i < a->nr_cpus; i++)
		if (a->cpus[i].apic_id == apic_id)
			return &a->cpus[i];
	return NULL;
}

/* A CPU may be listed twice, as local APIC and as x2APIC. */
static void cpu_add(struct acpi *a, u32 apic_id, u32 uid)
{
	struct acpi_cpu *c = cpu_find(a, apic_id);

	if (c && c->uid == UID_NONE)
		c->uid = uid;
	if (c)
		return;
	if (a->nr_cpus == NR_CPUS || apic_id > a->max_apic_id)
		a->cpus_unused++;
	else
		cpu_init(&a->cpus[a->nr_cpus++], apic_id, uid);
}

static const char *madt_cpu(struct acpi *a, const u8 *e)
{
	if (e[0] == LAPIC && get32(e + 4) & ENABLED && e[3] != 0xff)
		cpu_add(a, e[3], e[2]);
	if (e[0] == X2APIC && get32(e + 8) & ENABLED && get32(e + 4) != 0xffffffff)
		cpu_add(a, get32(e + 4), get32(e + 12));
	return NULL;
}

static void lint_nmi(struct acpi *a, u32 uid, u8 lint, u16 flags)
{
	for (unsigned int i = 0; i < a->nr_cpus && lint < 2; i++) {
		struct acpi_cpu *c = &a->cpus[i];

		if (uid != UID_ALL && uid != c->uid)
			continue;
		c->nmi_lints |= (u8)(1u << lint);
		c->lint_flags[lint] = flags;
	}
}

static const char *madt_override(struct acpi *a, const u8 *e)
{
	const u8 bus = e[2], irq = e[3];

	if (bus != 0 || irq >= ACPI_ISA_IRQS)
		return "an override of something that is not an ISA interrupt";
	a->isa[irq].gsi = get32(e + 4);
	a->isa[irq].flags = get16(e + 8);
	return NULL;
}

static void madt_ioapic(struct acpi *a, const u8 *e)
{
	if (a->nr_ioapics == ACPI_MAX_IOAPICS)
		return; /* ISA interrupts, all that is wanted here, are on the first */
	a->ioapics[a->nr_ioapics].base = get32(e + 4);
	a->ioapics[a->nr_ioapics].gsi_base = get32(e + 8);
	a->nr_ioapics++;
}

/* All that is not a CPU; NMI entries name CPUs, so these come second. */
static const char *madt_rest(struct acpi *a, const u8 *e)
{
	switch (e[0]) {
	case IOAPIC:
		madt_ioapic(a, e);
		break;
	case OVERRIDE:
		return madt_override(a, e);
	case LAPIC_NMI:
		lint_nmi(a, e[2] == 0xff ? UID_ALL : e[2], e[5], get16(e + 3));
		break;
	case LAPIC_BASE:
		a->lapic_base = get64(e + 4);
		break;
	case X2APIC_NMI:
		lint_nmi(a, get32(e + 4), e[8], get16(e + 2));
		break;
	}
	return NULL;
}

const char *acpi_parse_madt(struct acpi *a, const u8 *t, u32 len)
{
	const char *wrong = check_entries(t, len, &madt_kinds);

	if (wrong)
		return wrong;
	a->have_madt = true;
	a->lapic_base = get32(t + 36);
	a->cpus[0].nmi_lints = 0;
	each_entry(a, t, len, &madt_kinds, madt_cpu);
	return each_entry(a, t, len, &madt_kinds, madt_rest);
}

/* ---- SRAT ---- */
enum { CPU_AFFINITY = 0, MEM_AFFINITY = 1, X2APIC_AFFINITY = 2 };

static const struct entry_kinds srat_kinds = {
	.first = 48,
	.least = { [CPU_AFFINITY] = 16, [MEM_AFFINITY] = 40, [X2APIC_AFFINITY] = 24 },
};

/* What an entry says: a CPU that we have, or memory that is not empty; or nothing. */
struct affinity {
	u32 domain;
	struct acpi_cpu *cpu;
	u64 base, size;
};

static bool affinity_read(struct acpi *a, const u8 *e, struct affinity *out)
{
	*out = (struct affinity){ 0 };
	switch (e[0]) {
	case CPU_AFFINITY:
		out->domain = e[2] | (u32)e[9] << 8 | (u32)get16(e + 10) << 16;
		out->cpu = cpu_find(a, e[3]);
		return out->cpu && get32(e + 4) & ENABLED;
	case X2APIC_AFFINITY:
		out->domain = get32(e + 4);
		out->cpu = cpu_find(a, get32(e + 8));
		return out->cpu && get32(e + 12) & ENABLED;
	default:
		out->domain = get32(e + 2);
		out->base = get64(e + 8);
		out->size = get64(e + 16);
		return out->size && get32(e + 28) & ENABLED;
	}
}

/* Keeps domains[] ascending; the place of a domain is its node. */
static const char *srat_domain(struct acpi *a, const u8 *e)
{
	struct affinity f;
	unsigned int i = 0;

	if (!affinity_read(a, e, &f))
		return NULL;
	while (i < a->nr_nodes && a->domains[i] < f.domain)
		i++;
	if (i < a->nr_nodes && a->domains[i] == f.domain)
		return NULL;
	if (a->nr_nodes == MAX_NUMNODES)
		return "more nodes than this kernel knows";
	for (unsigned int j = a->nr_nodes++; j > i; j--)
		a->domains[j] = a->domains[j - 1];
	a->domains[i] = f.domain;
	return NULL;
}

static int node_of_domain(const struct acpi *a, u32 domain)
{
	for (unsigned int i = 0; i < a->nr_nodes; i++)
		if (a->domains[i] == domain)
			return (int)i;
	return 0; /* not reached: srat_domain has seen all entries */
}

static const char *mem_add(struct acpi *a, u64 base, u64 size, int node)
{
	u64 end = base + size;

	if (end < base)
		return "memory beyond the end of the address space";
	for (unsigned int i = 0; i < a->nr_mem; i++)
		if (a->mem[i].node != node && base < a->mem[i].end && a->mem[i].base < end)
			return "memory that belongs to two nodes";
	if (a->nr_mem == ACPI_MAX_MEM)
		return "too many pieces of memory";
	a->mem[a->nr_mem++] = (struct acpi_mem){ base, end, node };
	return NULL;
}

static const char *srat_node(struct acpi *a, const u8 *e)
{
	struct affinity f;
	int node;

	if (!affinity_read(a, e, &f))
		return NULL;
	node = node_of_domain(a, f.domain);
	if (!f.cpu)
		return mem_add(a, f.base, f.size, node);
	f.cpu->node = node;
	return NULL;
}

const char *acpi_parse_srat(struct acpi *a, const u8 *t, u32 len)
{
	const char *wrong = check_entries(t, len, &srat_kinds);

	if (wrong)
		return wrong;
	a->nr_nodes = 0;
	wrong = each_entry(a, t, len, &srat_kinds, srat_domain);
	if (wrong)
		return wrong;
	if (!a->nr_nodes)
		return "nothing in it";
	return each_entry(a, t, len, &srat_kinds, srat_node);
}

/* ---- SLIT ---- */
const char *acpi_parse_slit(struct acpi *a, const u8 *t, u32 len)
{
	const u8 *matrix = t + 44;
	u64 n;

	if (len < 44)
		return "shorter than its fixed part";
	n = get64(t + 36);
	if (n > 0xffff || n * n > len - 44)
		return "a matrix that goes beyond its end";
	for (unsigned int i = 0; i < a->nr_nodes; i++) {
		for (unsigned int j = 0; j < a->nr_nodes; j++) {
			u8 d;

			if (a->domains[i] >= n || a->domains[j] >= n)
				continue; /* not told: the default stays */
			d = matrix[a->domains[i] * n + a->domains[j]];
			if (i == j ? d != DISTANCE_SELF : d < DISTANCE_SELF)
				return "an impossible distance";
			a->distance[i][j] = d;
		}
	}
	return NULL;
}

/* ---- HPET ---- */
const char *acpi_parse_hpet(struct acpi *a, const u8 *t, u32 len)
{
	if (len < 56)
		return "too short";
	if (t[40] != 0)
		return "registers that are not in memory";
	a->hpet_base = get64(t + 44);
	return a->hpet_base ? NULL : "registers at 0";
}
