/*
 * nodes.c - which NUMA node each piece of memory belongs to.
 *
 * Invariant: ranges stay sorted, disjoint and whole: what they cover together is the
 * same before and after, and no range has a border of nodes in it, unless there was
 * no slot left to cut it. A pure function of its arguments, CPU 0 while booting.
 */
#include "devices.h"

/* The node of the memory at pa; and *end, up to which that holds, is moved down to
 * the nearest border. */
static int node_at(const struct acpi *a, u64 pa, u64 *end)
{
	int node = 0;

	for (unsigned int i = 0; i < a->nr_mem; i++) {
		const struct acpi_mem *m = &a->mem[i];
		u64 border = m->base > pa ? m->base : m->end;

		if (pa >= m->base && pa < m->end)
			node = m->node;
		if (border > pa && border < *end)
			*end = border;
	}
	return node;
}

static void insert_after(struct mem_range *r, unsigned int *n, unsigned int i, u64 base, u64 size)
{
	for (unsigned int j = (*n)++; j > i + 1; j--)
		r[j] = r[j - 1];
	r[i + 1] = (struct mem_range){ .base = base, .size = size };
}

/*
 * Set the node of range i, and cut it at the first border in it; what is behind is the
 * next range. A page that has a border in it counts to the node that it begins on.
 * false: it ought to be cut, and there is no slot.
 */
static bool set_node(struct mem_range *r, unsigned int *n, unsigned int i, const struct acpi *a)
{
	u64 end = r[i].base + r[i].size, border = end;

	r[i].node = node_at(a, r[i].base, &border);
	border = (border + PAGE_SIZE - 1) & PAGE_MASK;
	if (border >= end)
		return true;
	if (*n == MAX_MEM_RANGES)
		return false;
	r[i].size = border - r[i].base;
	insert_after(r, n, i, border, end - border);
	return true;
}

unsigned int ranges_set_nodes(struct mem_range *r, unsigned int *n, const struct acpi *a)
{
	unsigned int whole = 0;

	for (unsigned int i = 0; i < *n; i++) /* *n grows as ranges are cut */
		whole += !set_node(r, n, i, a);
	return whole;
}
