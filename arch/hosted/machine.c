/*
 * machine.c - the machine that the arguments describe: CPUs, memory with holes, nodes.
 *
 *	cpus=4 mem=256M holes=20M-24M,0x3000000-0x3001000 nodes=2 memless=1 distances=10,25,25,10
 *
 * Memory is one mapping at DIRECT_MAP_BASE; holes in it fault. The first MiB is a hole
 * always. Nodes have equal shares of memory and CPUs, in order; memory of a node that
 * is to have none goes to the node before. Distances are told row by row.
 *
 * Invariant: written by CPU 0 before there is a second one, constant from then on; so
 * the questions may be asked in any context.
 */
#include <arch/machine.h>
#include <arch/time.h>
#include <sys/mman.h>
#include "host.h"
#include "kernel/cmdline.h"
#include "kernel/panic.h"
#include "kernel/printk.h"
#include "mm/early.h"

#define LOW_END (1UL << 20)
#define NODE_ALIGN (4UL << 20)

static s64 cpus = 4, mem = 256 << 20, nodes = 1, memless = -1;
static const char *holes = "";
KPARAM_INT(cpus, "cpus", 1, NR_CPUS, "CPUs, each a thread");
KPARAM_INT(mem, "mem", 2 << 20, DIRECT_MAP_MAX, "bytes of memory, with its holes");
KPARAM_INT(nodes, "nodes", 1, MAX_NUMNODES, "NUMA nodes");
KPARAM_INT(memless, "memless", -1, MAX_NUMNODES - 1, "this node has no memory, only CPUs; -1: none");
KPARAM_STR(holes, "holes", "addresses where there is no memory: start-end,start-end");
static const char *distances = "";
KPARAM_STR(distances, "distances", "of nodes, row by row: 10 for a node itself, 10 to 254; empty: 20 to each other one");

struct mem_range mem_ranges[MAX_MEM_RANGES];
unsigned int nr_mem_ranges;
DEFINE_PER_CPU(u64, percpu_self_offset);
DEFINE_PER_CPU(u32, cpu_number);
u64 percpu_offset[NR_CPUS];

static struct span_list ram;
static u8 distance[MAX_NUMNODES][MAX_NUMNODES];

/* ---- questions ---- */

unsigned int arch_nr_cpus_found(void)
{
	return (unsigned int)cpus;
}

int arch_cpu_node(unsigned int cpu)
{
	return (int)(cpu * nodes / cpus);
}

unsigned int arch_nr_nodes(void)
{
	return (unsigned int)nodes;
}

unsigned int arch_node_distance(int a, int b)
{
	return distance[a][b];
}

u64 arch_boot_random(void)
{
	u64 v = arch_rdtsc();

	host_syscall(SYS_getrandom, (u64)&v, sizeof(v), 0, 0);
	return v;
}

void arch_print_machine(void)
{
	printk("cpu: threads of a process of the host\n");
	if (nodes > 1)
		printk("memory: %u ranges on %lu nodes\n", nr_mem_ranges, (u64)nodes);
}

/* ---- memory ---- */

static void __noreturn bad_argument(const char *name, const char *wanted, const char *at)
{
	printk("error: kernel argument '%s': not %s at '%s'\n", name, wanted, at);
	kernel_exit(EXIT_FAIL);
}

static void __noreturn bad_holes(const char *at)
{
	bad_argument("holes", "start-end", at);
}

static unsigned int digit(char c)
{
	return c >= '0' && c <= '9' ? (unsigned int)(c - '0') :
	       (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned int)((c | 32) - 'a') + 10 : 99;
}

/* A number, decimal or 0x, with a suffix k, M or G; moves *s behind it, if there is one. */
static u64 take_number(const char **s)
{
	unsigned int base = 10;
	u64 v = 0;

	if ((*s)[0] == '0' && ((*s)[1] | 32) == 'x') {
		base = 16;
		*s += 2;
	}
	for (; digit(**s) < base; (*s)++)
		v = v * base + digit(**s);
	switch (**s | 32) {
	case 'k': (*s)++; return v << 10;
	case 'm': (*s)++; return v << 20;
	case 'g': (*s)++; return v << 30;
	}
	return v;
}

static void cut_holes(void)
{
	const char *s = holes;

	while (*s) {
		const char *at = s;
		u64 start = take_number(&s), stop;

		if (s == at || *s++ != '-')
			bad_holes(at);
		at = s;
		stop = take_number(&s);
		if (s == at || (*s && *s++ != ','))
			bad_holes(at);
		span_cut(&ram, start & PAGE_MASK, (stop + PAGE_SIZE - 1) & PAGE_MASK);
	}
}

static void map_memory(void)
{
	u64 size = (u64)mem & PAGE_MASK, at = 0;
	void *base = mmap((void *)DIRECT_MAP_BASE, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (base != (void *)DIRECT_MAP_BASE)
		panic("the process has no room for its memory at %lx", DIRECT_MAP_BASE);
	for (unsigned int i = 0; i <= ram.n; i++) { /* the holes before each span, and behind all */
		u64 hole_end = i < ram.n ? ram.s[i].base : size;

		if (at < hole_end && mprotect(phys_to_virt(at), hole_end - at, PROT_NONE))
			panic("holes=: the process cannot have so many");
		at = i < ram.n ? ram.s[i].end : size;
	}
}

/* Where the memory of a node begins. */
static u64 node_start(int node)
{
	return (u64)mem / (u64)nodes * (u64)node & ~(NODE_ALIGN - 1);
}

static void add_range(u64 base, u64 stop, int node)
{
	if (base >= stop)
		return;
	if (nr_mem_ranges == MAX_MEM_RANGES)
		panic("holes=: more than %u ranges of memory", MAX_MEM_RANGES);
	mem_ranges[nr_mem_ranges++] = (struct mem_range){ base, stop - base, node };
}

static void ranges_of_node(int node)
{
	u64 first = node_start(node), last = node + 1 == nodes ? ~0UL : node_start(node + 1);
	int owner = node != memless ? node : node ? node - 1 : nodes > 1;

	for (unsigned int i = 0; i < ram.n; i++) {
		u64 base = ram.s[i].base > first ? ram.s[i].base : first;
		u64 stop = ram.s[i].end < last ? ram.s[i].end : last;

		add_range(base, stop, owner);
	}
}

/* ---- nodes ---- */

static void take_distances(void)
{
	const char *s = distances;

	for (s64 i = 0; i < nodes * nodes; i++) {
		u8 *d = &distance[i / nodes][i % nodes];
		bool self = i / nodes == i % nodes;
		const char *at = s;
		u64 told;

		*d = self ? 10 : 20;
		if (!*distances)
			continue;
		told = take_number(&s);
		if (s == at || told < 10 || told > (self ? 10 : 254) || *s != (i + 1 < nodes * nodes ? ',' : 0))
			bad_argument("distances", "a distance", at);
		*d = (u8)told;
		s += *s != 0;
	}
}

/* ---- CPUs ---- */

/* A zeroed copy of the section, aligned as the section is. */
static void area_prepare(unsigned int cpu)
{
	u64 size = (u64)(__stop_percpu - __start_percpu), off = (u64)__start_percpu & ~PAGE_MASK;
	u64 area = (u64)phys_to_virt(early_alloc(size + off, PAGE_SIZE)) + off;

	percpu_offset[cpu] = area - (u64)__start_percpu;
	*per_cpu_ptr(percpu_self_offset, cpu) = percpu_offset[cpu];
	*per_cpu_ptr(cpu_number, cpu) = cpu;
}

void arch_machine_init(void)
{
	take_distances();
	span_add(&ram, LOW_END, (u64)mem & PAGE_MASK);
	cut_holes();
	map_memory();
	for (int node = 0; node < nodes; node++)
		ranges_of_node(node);
	for (unsigned int cpu = 1; cpu < cpus; cpu++)
		area_prepare(cpu);
}

void arch_irq_init(void)
{
	time_init();
}
