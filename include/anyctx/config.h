/*
 * config.h - what this build has, by the settings of config/NAME.mk (make CONFIG=NAME).
 *
 * Each switch is 0 or 1 and is asked by `if`, so that every variant is compiled; a file
 * of its own holds what is different, and an inline function in a header what calls it.
 */
#ifndef ANYCTX_CONFIG_H
#define ANYCTX_CONFIG_H

#ifndef CONFIG_NAME
#define CONFIG_NAME "default"
#endif

#ifndef CONFIG_KASAN
#define CONFIG_KASAN 0 /* heap, stack and globals are checked by the compiler's calls: mm/kasan/ */
#endif

#ifndef CONFIG_LOCKDEP
#define CONFIG_LOCKDEP 0 /* the order of locks and the contexts they are taken in are checked: kernel/lockdep/ */
#endif

#ifndef CONFIG_UBSAN
#define CONFIG_UBSAN 0 /* undefined behaviour is told by the compiler's calls: kernel/ubsan/ */
#endif

#ifndef CONFIG_KCSAN
#define CONFIG_KCSAN 0 /* data races are looked for by the compiler's calls: kernel/kcsan/ */
#endif

#ifndef CONFIG_HARDENED
#define CONFIG_HARDENED 0 /* free objects' links encoded, in an order by chance; memory zeroed: mm/harden.h */
#endif

#ifndef CONFIG_TINY
#define CONFIG_TINY 0 /* no magazines, the least metadata */
#endif

#ifndef CONFIG_RT
#define CONFIG_RT 0 /* local locks sleep, with priority inheritance */
#endif

#ifndef CONFIG_UP
#define CONFIG_UP 0 /* one CPU only */
#endif

#endif
