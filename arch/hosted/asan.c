/*
 * asan.c - what AddressSanitizer is told; compiled for it only.
 */
#include "host.h"

const char *__asan_default_options(void);

/* No search for leaks at the end: the kernel's memory is not malloc's, mm_check counts
 * it, and the search wants to trace the process, which not everyone lets it. */
const char *__asan_default_options(void)
{
	return "detect_leaks=0";
}
