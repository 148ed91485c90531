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

#endif
