/*
 * hotplug.h - what the tests of CPUs that go and come share.
 */
#ifndef TESTS_HOTPLUG_H
#define TESTS_HOTPLUG_H

/* The CPU that is to go; 0: there is only one, and the case is skipped: return. */
unsigned int hotplug_victim(void);
/* The same where two others are to stay. */
unsigned int hotplug_victim_of_three(void);

#endif
