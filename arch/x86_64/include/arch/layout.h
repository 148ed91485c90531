/*
 * arch/layout.h - where memory is in the address space. arch/hosted has its own.
 */
#ifndef ARCH_LAYOUT_H
#define ARCH_LAYOUT_H

/* All RAM is readable and writable at DIRECT_MAP_BASE + physical address. */
#define DIRECT_MAP_BASE 0xffff888000000000UL
#define DIRECT_MAP_MAX (64UL << 30)
/* Two bytes a frame, at twice the address of its memory divided by PAGE_SIZE. */
#define FRAME_CACHE_BASE 0xfffffff110000000UL

#endif
