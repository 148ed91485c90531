/*
 * rseq.c - restartable sequences against NMIs that use the same magazine, also while
 * interrupts wait that are off: what an NMI took is never taken again below it.
 */
#include <arch/irq.h>
#include <arch/time.h>
#include "kernel/hooks.h"
#include "kernel/nmi_source.h"
#include "kernel/tick.h"
#include "tests/test.h"

#define SIZE 64
#define RUN_NS 400000000UL
#define KEPT 8
#define TICK_HZ 5000 /* of this CPU */
/* NMIs go to all CPUs; an emulator of many is not to drown in them. */
#define NMI_HZ (num_online_cpus() > 4 ? 100 : 2000)

static u64 *kept[KEPT]; /* the NMIs' objects */
static u64 nmis, wrong;

static u64 *take(u64 owner)
{
	u64 *p = kmalloc_nolock(SIZE, 0, NUMA_NO_NODE);

	if (p)
		WRITE_ONCE(p[1], owner);
	return p;
}

static void give(u64 *p, u64 owner)
{
	if (p && READ_ONCE(p[1]) != owner)
		wrong++;
	kfree_nolock(p);
}

static void in_nmi(struct regs *r)
{
	u64 i, *p;

	(void)r;
	if (smp_processor_id())
		return;
	i = nmis++ % KEPT;
	p = take(i); /* before giving one, which would leave the magazine as it was */
	give(kept[i], i);
	kept[i] = p;
}

static u64 work_with_interrupts_off(void)
{
	u64 flags = arch_irq_save(), end = arch_ns() + RUN_NS, n = KEPT;

	while (arch_ns() < end)
		for (unsigned int i = 0; i < 100; i++, n++) {
			u64 *p = take(n), *q = take(~0UL - n);

			give(p, n);
			give(q, ~0UL - n);
		}
	arch_irq_restore(flags);
	return n;
}

TEST(rseq, nmi_over_masked_interrupt,
     "an object is an NMI's or the interrupted thread's, with interrupts off that are waiting")
{
	u64 n;

	nmis = wrong = 0;
	set_nmi_hook(in_nmi);
	arch_timer_set(TICK_HZ);
	nmi_source_set_hz(NMI_HZ);
	n = work_with_interrupts_off();
	nmi_source_set_hz(0);
	tick_set_hz(tick_default_hz());
	set_nmi_hook(NULL);
	hook_sync();
	for (unsigned int i = 0; i < KEPT; i++) {
		give(kept[i], i);
		kept[i] = NULL;
	}
	EXPECT_EQ(wrong, 0);
	test_note("%lu times, %lu NMIs", 2 * n, nmis);
}
