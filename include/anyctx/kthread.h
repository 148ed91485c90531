/*
 * kthread.h - threads of the kernel: made, run by priority, put to sleep, moved, ended.
 *
 * Each CPU runs, of the threads that are on it and do not sleep, one of the highest
 * priority; those of equal priority take turns, SCHED_SLICE ticks each. A thread is
 * preempted when one of higher priority wakes, at any instruction, unless it has
 * interrupts off or is inside preempt_disable (preempt.h). What runs at the start on
 * each CPU is a thread as well, of PRIO_NORMAL, that stays on its CPU.
 *
 * Threads come from a pool made at boot (kernel argument threads=): making one
 * allocates nothing, and the only failure is that the pool is used up.
 *
 * Contexts. wake_up_process, sched_set_priority, kthread_set_cpu, current_task and what
 * only asks: any, NMI too. The others: threads, with interrupts on and outside of
 * preempt_disable if they wait (checked: else a panic). Not in the hosted build.
 */
#ifndef ANYCTX_KTHREAD_H
#define ANYCTX_KTHREAD_H

#include <anyctx/preempt.h>

struct task;

#define KTHREAD_NAME 16 /* bytes, with the zero; longer names are cut */
#define CPU_ANY (-1)
#define PRIO_LEAST 0
#define PRIO_NORMAL 8
#define PRIO_HIGHEST 31
#define SCHED_SLICE 5 /* ticks */

/*
 * A thread that will run fn(arg) once it is woken, at PRIO_NORMAL, on the CPU that has
 * the fewest threads, where it stays until it is moved. NULL: no thread is left.
 */
struct task *kthread_create(int (*fn)(void *arg), void *arg, const char *name);
/* The same, and it runs. */
struct task *kthread_run(int (*fn)(void *arg), void *arg, const char *name);
/* The same on one CPU; NULL also if there is no such CPU, or it is about to go offline. */
struct task *kthread_create_on_cpu(int (*fn)(void *arg), void *arg, unsigned int cpu, const char *name);
struct task *kthread_run_on_cpu(int (*fn)(void *arg), void *arg, unsigned int cpu, const char *name);
/* Wait until it has ended: what fn returned. The thread is gone then. Each thread is
 * joined once, by any other. */
int kthread_join(struct task *t);
/* Ask it to end (kthread_should_stop) and wake it; then kthread_join. */
int kthread_stop(struct task *t);
/* Has anyone asked the thread that runs to end? */
bool kthread_should_stop(void);

/* The thread that runs here, or is interrupted here. */
struct task *current_task(void);
const char *task_name(const struct task *t);
/* Where it is; may have changed when it returns. */
unsigned int task_cpu(const struct task *t);

/*
 * Sleep until wake_up_process was called for this thread, now or since the last sleep:
 * so none is lost. May return without cause: look again at what is waited for.
 */
void park(void);
/* Ticks of this CPU at most; 0 if they are over, else how many are left. Without cause
 * as well. ticks <= 0: returns at once. */
s64 schedule_timeout(s64 ticks);
/* That many ticks at least. */
void sleep_ticks(u64 ticks);
/* True: it slept, and will run. */
bool wake_up_process(struct task *t);
/* Let others of the same priority run first. */
void yield(void);

/* 0 to 31; others are taken as the nearest. It may be running already. */
void sched_set_priority(struct task *t, unsigned int prio);
unsigned int task_priority(const struct task *t);
/*
 * It runs on that CPU only, or goes on where it is (CPU_ANY). The thread itself is there
 * on return; another moves within a tick. -EINVAL: there is no such CPU, or it is offline or
 * about to go; or it is one of the threads that stay.
 */
int kthread_set_cpu(struct task *t, int cpu);

/*
 * A CPU that goes offline (cpu.h) sends threads that may be anywhere to others, also while
 * they sleep; it stays if a thread is bound to it. But for a thread of which this was said,
 * once, by who made it for that CPU: it stands still, wherever it is outside of
 * migrate_disable, and goes on when the CPU is back; time for its sleeps stands still as well.
 * It is to sleep again and again.
 */
void kthread_set_per_cpu(struct task *t);
#endif
