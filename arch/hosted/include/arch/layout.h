/*
 * arch/layout.h (hosted) - where memory is in the process's address space.
 *
 * Chosen so that one address suits all: AddressSanitizer keeps 0x7fff8000 to
 * 0x10007fff8000 for itself, ThreadSanitizer leaves only the low 512 GiB, these
 * 1.5 TiB and the top, and Valgrind takes what is given. vmemmap is at 0x44000000
 * (hosted.mk), in reach of a displacement as in the kernel. The host begins the heap of
 * the process anywhere up to 1 GiB behind the image, which has less than 20 MiB: this is
 * 44 MiB behind that.
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

#define DIRECT_MAP_BASE 0x550000000000UL
/* The descriptors of so much end at FRAME_CACHE_BASE, and that where Valgrind's own image begins. */
#define DIRECT_MAP_MAX (48UL << 30)
#define FRAME_CACHE_BASE 0x56000000UL

#endif
