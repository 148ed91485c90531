/*
 * boot.c - what it takes from the kernel's first C instruction to all CPUs being up, by
 * part. The assembler before it is some sixty instructions.
 */
#include "bench/bench.h"
#include "kernel/bootmark.h"

BENCH(boot, parts, "from the kernel's entry to all CPUs online, thousands of instructions")
{
	for (unsigned int i = 1; i < nr_boot_marks; i++)
		bench_put(boot_marks[i].part, "1000",
			  (boot_marks[i].tsc - boot_marks[i - 1].tsc) * BENCH_ONE / 1000);
	bench_put("all", "1000", (boot_marks[nr_boot_marks - 1].tsc - boot_marks[0].tsc) * BENCH_ONE / 1000);
}
