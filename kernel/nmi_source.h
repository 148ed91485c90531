/*
 * nmi_source.h - the periodic NMIs of all CPUs, for the watchdog and the main job.
 */
#ifndef KERNEL_NMI_SOURCE_H
#define KERNEL_NMI_SOURCE_H

#include <anyctx/types.h>

/* Find a source that works (nmi_source= may name it), and leave it stopped.
 * false: the one that was named does not work. CPU 0, thread context. */
bool nmi_source_init(void);
/*
 * About hz NMIs a second on every CPU; 0 stops them. A neighbour's IPIs come no
 * faster than the tick. CPU 0, thread context.
 */
void nmi_source_set_hz(unsigned int hz);
unsigned int nmi_source_hz(void);
const char *nmi_source_name(void);
/* Tests: change to a source by its name; false: it does not work, nothing is
 * changed. Stopped after it. */
bool nmi_source_choose(const char *name);
/* This CPU goes or comes: its own part of the source that is on, off or on. */
void nmi_source_here(bool on);
/* In every timer interrupt. */
void nmi_source_tick(void);

#endif
