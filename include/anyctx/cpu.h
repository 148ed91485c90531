/*
 * cpu.h - CPUs go offline and come back.
 *
 * A CPU that is offline sleeps with interrupts off, takes part in nothing, and holds
 * nothing: when cpu_down has returned 0, every free object and page that it kept, every
 * free that it had put off, and its share of memory are where all others reach them; what
 * it had counted stays counted. Nothing is allocated on the way, either way.
 *
 * Its threads go to other CPUs, asleep or not; see kthread_set_per_cpu for those that do not.
 *
 * Contexts. All calls here: thread context with interrupts on (checked; else a panic).
 * cpu_down and cpu_up: on CPU 0, outside of preempt_disable (checked as well); they may sleep.
 */
#ifndef ANYCTX_CPU_H
#define ANYCTX_CPU_H

#include <anyctx/types.h>

/*
 * Take a CPU offline; returns when it sleeps. 0: it is offline, or was. -EINVAL: there is
 * no such CPU. -EBUSY, and it is as before: it is CPU 0, or what it ran at boot runs a function,
 * or another call takes it off already; or a thread is bound to it, or has stayed in
 * migrate_disable for CPU_DOWN_MS, asleep or not: the console has the thread's name. With
 * CONFIG=rt who holds or waits for a spinlock or local lock is in migrate_disable.
 */
#define CPU_DOWN_MS 1000
int cpu_down(unsigned int cpu);
/* Bring it back; returns when it idles. 0: it is online, or was. -EINVAL: there is none. */
int cpu_up(unsigned int cpu);

/*
 * From here on no CPU goes or comes, until the unlock. Waits for one that is on its way,
 * and for others that hold it: one at a time. Does not nest; what is called in between may
 * wait for other CPUs.
 */
void cpus_read_lock(void);
void cpus_read_unlock(void);

#endif
